"""What is made of the codes: clusters of training images, pseudo-labels, and two classifiers.

True labels are read only behind the line that says so; nothing before it depends on them.
"""

from collections.abc import Generator, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from models._dvae_classifier import answers, interval
from models._dvae_config import Config
from models._dvae_network import Autoencoder
from models._dvae_prior import by_place
from models._env import Env, derive_seed
from models._events import Curve, Diverged, Event, Images, Matrix, Points, Progress, Scalars
from models.parts import clustering
from models.parts import data as datasets
from models.parts.classes import confusion
from models.parts.clustering import Clusters, Floats, Ints

QUANTILES = 51  # of the silhouettes of a cluster
CORE = 0.8  # share of each cluster's pseudo-labels that are farthest from its borders


def features(config: Config, network: Autoencoder, tokens: Tensor) -> Floats:
    """What an image is to KMeans, (n, dimensions): its quantised vectors, or how often it has each token."""
    if config.clustered == "vectors":
        return network.vectors(tokens).flatten(1).double().cpu().numpy()
    flat = tokens.flatten(1)
    counts = torch.zeros(len(flat), network.size, dtype=torch.float64, device=flat.device)
    return counts.scatter_add_(1, flat, torch.ones_like(flat, dtype=torch.float64)).cpu().numpy()


def clusters(
    config: Config, network: Autoencoder, data: datasets.Data, tokens: Tensor, env: Env, step: int
) -> Generator[Event, None, dict[str, float]]:
    """Cluster the first training images, whose ``tokens`` are given; the scores of the chosen K are returned.

    Raises Diverged where the codes tell too few images apart to be clustered.
    """
    seed = derive_seed(env.seed, "clusters") % 2**31
    yield Progress("clustering", 0, 3)
    points = features(config, network, tokens)
    space = embedded(config, points, seed)
    scored = config.silhouette_images
    ks = range(config.k_least, config.k_most + 1)
    found = clustering.cluster(space, ks, config.initialisations, seed, scored)
    if not found:
        distinct = len(np.unique(points, axis=0))
        raise Diverged("codebook_collapse", step, f"all training images have only {distinct} different codes")
    chosen = clustering.choose(found, config.k_rule, config.k_given)
    yield from curves(found, chosen, step)
    yield from silhouettes(space[:scored], chosen, step)
    yield nearest(space, chosen, data, step)
    yield borders(space, chosen, data, step)
    yield Progress("clustering", 1, 3)
    values = {
        "silhouette": float(chosen.silhouette.mean()),
        "silhouette/spread": float(np.ptp(chosen.silhouette)),
        "silhouette/codes": _silhouette(points[:scored], chosen.ids[:scored]),
        "silhouette/by_place": of_no_clusters(config, network, tokens, chosen.k, env),
        "clusters/k": float(chosen.k),
        "clusters/davies_bouldin": float(chosen.davies_bouldin.mean()),
        "clusters/calinski_harabasz": float(chosen.calinski_harabasz.mean()),
    }

    # From here on true labels are read: to judge, and for pictures.
    labels = data.train.labels[: len(tokens)].numpy()
    yield from agreements(found, chosen, labels, len(data.classes), step)
    yield from confusions(chosen, labels, data.classes, step)
    yield tsne(space, chosen, labels, data.classes, config.tsne_images, seed, step)
    yield Progress("clustering", 2, 3)
    yield from classifiers(config, data, chosen, core(space, chosen), labels, env, step)
    yield Progress("clustering", 3, 3)
    return values


def embedded(config: Config, points: Floats, seed: int) -> Floats:
    """Where KMeans works."""
    if config.embedding == "none":
        return points
    return clustering.embed(points, config.embedding_dimension, config.embedding_neighbours, seed)


def of_no_clusters(config: Config, network: Autoencoder, tokens: Tensor, k: int, env: Env) -> float:
    """What the silhouette is, all else equal, where the tokens of each place go with those of the others by chance."""
    seed = derive_seed(env.seed, "clusters") % 2**31
    shuffled = by_place(tokens, len(tokens), env.generator("no clusters"))
    space = embedded(config, features(config, network, shuffled), seed)
    found = clustering.cluster(space, [k], 2, seed, config.silhouette_images)
    return float(found[0].silhouette.mean()) if found else 0.0


def _silhouette(points: Floats, ids: Ints) -> float:
    from sklearn.metrics import silhouette_score

    return float(silhouette_score(points, ids))


def curves(found: Sequence[Clusters], chosen: Clusters, step: int) -> Iterator[Event]:
    """Scores against K, the silhouette with its range over initialisations."""
    x = [float(one.k) for one in found]
    lines = {
        "mean": [float(one.silhouette.mean()) for one in found],
        "highest": [float(one.silhouette.max()) for one in found],
        "lowest": [float(one.silhouette.min()) for one in found],
    }
    n = len(chosen.silhouette)
    axis = f"K (chosen {chosen.k})"
    yield Curve(step, "clusters/silhouette", x, lines, axis, f"silhouette over {n} initialisations")
    for name in ("davies_bouldin", "calinski_harabasz"):
        scores = {"mean": [float(getattr(one, name).mean()) for one in found]}
        yield Curve(step, f"clusters/{name}", x, scores, axis, name.replace("_", " "))


def silhouettes(space: Floats, chosen: Clusters, step: int) -> Iterator[Event]:
    """Of each image of a cluster, from the one deepest inside to the one that would rather be elsewhere, below 0."""
    from sklearn.metrics import silhouette_samples

    ids = chosen.ids[: len(space)]
    values = silhouette_samples(space, ids)
    shares = np.linspace(0, 1, QUANTILES)
    lines = {
        f"cluster {number} ({int((ids == number).sum())})": np.quantile(values[ids == number], 1 - shares).tolist()
        for number in range(chosen.k)
        if (ids == number).any()
    }
    yield Curve(step, "clusters/silhouettes", shares.tolist(), lines, "share of the cluster's images", "silhouette")


def nearest(space: Floats, chosen: Clusters, data: datasets.Data, step: int) -> Images:
    """A row for each cluster: the images nearest to its centre, the nearest first."""
    return _rows("clusters/nearest", np.linalg.norm(space - chosen.centres[chosen.ids], axis=1), chosen, data, step)


def borders(space: Floats, chosen: Clusters, data: datasets.Data, step: int) -> Images:
    """A row for each cluster: the images that are hardly nearer to its centre than to another, the most doubtful first."""
    from sklearn.metrics import pairwise_distances

    ordered = np.sort(pairwise_distances(space, chosen.centres), axis=1)
    return _rows("clusters/borders", ordered[:, 1] - ordered[:, 0], chosen, data, step)


def _rows(key: str, values: Floats, chosen: Clusters, data: datasets.Data, step: int) -> Images:
    """A row for each cluster: its images of the least ``values``."""
    rows = []
    for number in range(chosen.k):
        members = np.flatnonzero(chosen.ids == number)
        first = members[np.argsort(values[members], kind="stable")][:8]
        images = data.train.floats(torch.from_numpy(first))
        blank = torch.zeros(8 - len(first), *data.shape)  # of a cluster that has fewer
        rows.append(torch.cat([images, blank]))
    return Images(step, key, torch.cat(rows), columns=8)


def agreements(found: Sequence[Clusters], chosen: Clusters, labels: Ints, n_classes: int, step: int) -> Iterator[Event]:
    """How far clusters are the true classes: at the chosen K, at as many clusters as classes, and against K."""
    each = [clustering.agreement(labels, one.ids) for one in found]
    lines = {name.upper(): [one[name] for one in each] for name in ("acc", "nmi", "ari")}
    x = [float(one.k) for one in found]
    yield Curve(step, "clusters/agreement", x, lines, f"K (chosen {chosen.k})", "agreement with true classes")
    values: dict[str, float] = {}
    for one, scores in zip(found, each, strict=True):
        if one is chosen:
            values |= {f"clusters/{name}": score for name, score in scores.items()}
        if one.k == n_classes:
            values |= {f"clusters_as_many_as_classes/{name}": score for name, score in scores.items()}
    yield Scalars(step, values)


def confusions(chosen: Clusters, labels: Ints, classes: Sequence[str], step: int) -> Iterator[Event]:
    """True classes against cluster ids, against the classes that the Hungarian method reads them as, and shares."""
    counts = clustering.contingency(labels, chosen.ids, len(classes), chosen.k)
    names = [str(number) for number in range(chosen.k)]
    yield Matrix(step, "clusters/confusion", torch.from_numpy(counts), classes, names, column_label="cluster")
    mapping = clustering.hungarian(counts)
    mapped = np.zeros((len(classes), len(classes) + 1), np.int64)
    np.add.at(mapped.T, mapping, counts.T)  # −1, a cluster without a class, is the last column
    columns = [*classes, "none"] if (mapping < 0).any() else classes
    read = torch.from_numpy(mapped[:, : len(columns)])
    yield Matrix(step, "clusters/confusion_mapped", read, classes, columns, column_label="cluster, read as a class")
    shares = torch.from_numpy((counts / counts.sum(0)).T)
    parts = "share of each true class"
    yield Matrix(step, "clusters/label_shares", shares, names, classes, "cluster", parts, stacked=True)


def tsne(
    space: Floats, chosen: Clusters, labels: Ints, classes: Sequence[str], most: int, seed: int, step: int
) -> Points:
    """The first images in two dimensions (van der Maaten and Hinton 2008), coloured by true class and by cluster."""
    from sklearn.manifold import TSNE

    some = space[:most]
    perplexity = min(30.0, (len(some) - 1) / 3)
    flat = TSNE(2, perplexity=perplexity, init="random", random_state=seed).fit_transform(some)
    groups = {
        "true class": [classes[label] for label in labels[: len(some)]],
        "cluster": [str(number) for number in chosen.ids[: len(some)]],
    }
    return Points(step, "clusters/tsne", torch.from_numpy(flat), groups)


def core(space: Floats, chosen: Clusters) -> Tensor:
    """Numbers of the images with the largest silhouettes of their cluster, so far inside it: CORE of each, in their order.

    Of each, not of all: else a loose cluster would lose all of its images, and a classifier never see its class.
    """
    from sklearn.metrics import silhouette_samples

    deepest = np.argsort(-silhouette_samples(space, chosen.ids), kind="stable")
    of_each = [deepest[chosen.ids[deepest] == number] for number in range(chosen.k)]
    return torch.from_numpy(np.sort(np.concatenate([some[: max(1, round(CORE * len(some)))] for some in of_each])))


def classifiers(
    config: Config, data: datasets.Data, chosen: Clusters, inside: Tensor, labels: Ints, env: Env, step: int
) -> Iterator[Event]:
    """Accuracy on the test split of classifiers that learned true labels, cluster ids, and those ``inside`` alone.

    The same network, budget and seeds; what the others take for cluster k is read as the class that the Hungarian
    method gives k on all clustered images.
    """
    counts = clustering.contingency(labels, chosen.ids, len(data.classes), chosen.k)
    mapped, ids = torch.from_numpy(clustering.hungarian(counts)), torch.from_numpy(chosen.ids)
    every, n_classes = torch.arange(len(labels)), len(data.classes)
    read = {
        "true": (torch.arange(n_classes), torch.from_numpy(labels), every),
        "pseudo": (mapped, ids, every),
        "pseudo_core": (mapped, ids, inside),
    }
    values: dict[str, float] = {}
    for name, (mapping, targets, which) in read.items():
        accuracies, counted = [], torch.zeros(n_classes, n_classes + 1)
        budget = config.classifier_steps, config.classifier_seeds
        learned = data.train.images[which], targets[which], len(mapping)
        for given in answers(*learned, data.test, env, *budget):
            classes = mapping[given]
            accuracies.append(float((classes == data.test.labels).double().mean()))
            with_none = classes.where(classes >= 0, n_classes)  # the last column
            counted += confusion(data.test.labels, with_none, n_classes, n_classes + 1)
        low, high = interval(accuracies)
        mean = sum(accuracies) / len(accuracies)
        ends = {f"classifier/{name}_low": max(0.0, low), f"classifier/{name}_high": min(1.0, high)}
        values |= {f"classifier/{name}": mean} | ends
        columns = [*data.classes, "none"] if bool(counted[:, -1].any()) else data.classes
        per_seed = counted[:, : len(columns)] / len(accuracies)
        yield Matrix(step, f"classifier/confusion_{name}", per_seed, data.classes, columns)
    yield Scalars(step, values)
