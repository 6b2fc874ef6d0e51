"""What is made of the codes: clusters of training images, pseudo-labels, and two classifiers.

True labels are read only behind the line that says so; nothing before it depends on them.
"""

from collections.abc import Callable, Generator, Sequence

import numpy as np
import torch
from torch import Tensor

from models.data import dataset as datasets
from models.dvae import cluster_figures as looks
from models.dvae.cluster_figures import AS_MANY
from models.dvae.config import Config
from models.dvae.networks import Autoencoder
from models.dvae.prior import by_place
from models.dvae.pseudo_labelled_file import pseudo_labelled
from models.dvae.pseudo_labels import Annotation, classifiers
from models.env import Env, derive_seed
from models.events import Diverged, Event, Progress
from models.parts.clustering import clustering
from models.parts.clustering.clustering import Clusters
from models.parts.clustering.spectral import Floats, Ints, embed

CORE = 0.8  # share of each cluster's pseudo-labels that are farthest from its borders
CODES_INITIALISATIONS = 2  # of KMeans on the codes themselves, which is slow in so many dimensions


def features(config: Config, network: Autoencoder, tokens: Tensor) -> Floats:
    """What an image is to KMeans, (n, dimensions): its quantised vectors, or how often it has each token."""
    if config.clustered == "vectors":
        return network.vectors(tokens).flatten(1).cpu().numpy()
    flat = tokens.flatten(1)
    counts = torch.zeros(len(flat), network.size, device=flat.device)
    return counts.scatter_add_(1, flat, torch.ones_like(flat, dtype=counts.dtype)).cpu().numpy()


def clusters(
    config: Config, network: Autoencoder, data: datasets.Data, tokens: Tensor, env: Env, step: int
) -> Generator[Event, None, dict[str, float]]:
    """Cluster the first training images, whose ``tokens`` are given; the scores of the chosen K are returned.

    Raises Diverged where the codes tell too few images apart to be clustered.
    """
    seed = derive_seed(env.seed, "clusters") % 2**31
    yield Progress("clustering", 0, 3)
    points = features(config, network, tokens)
    scored = config.silhouette_images
    ks = range(config.k_least, config.k_most + 1)
    spaces = embedded(config, points, config.k_most, seed)
    clusterings = clustering.cluster(points, ks, config.initialisations, seed, scored, spaces)
    if not clusterings:
        distinct = len(np.unique(points, axis=0))
        raise Diverged("codebook_collapse", step, f"all training images have only {distinct} different codes")
    chosen = clustering.choose(clusterings, config.k_rule, config.k_given)
    space = spaces(chosen.k)
    yield from looks.curves(clusterings, chosen, step)
    yield from looks.silhouettes(space[:scored], chosen, step)
    yield looks.nearest(space, chosen, data, step)
    yield looks.borders(space, chosen, data, step)
    of_codes = on_codes(config, points, ks, seed)
    values = {
        "silhouette": float(chosen.silhouette.mean()),
        "silhouette/spread": float(np.ptp(chosen.silhouette)),
        "silhouette/codes": _silhouette(points[:scored], chosen.ids[:scored]),
        "silhouette/by_place": of_no_clusters(config, network, tokens, chosen.k, env),
        "clusters/k": float(chosen.k),
        "clusters/davies_bouldin": float(chosen.davies_bouldin.mean()),
        "clusters/calinski_harabasz": float(chosen.calinski_harabasz.mean()),
    }
    yield Progress("clustering", 1, 3)

    # From here on true labels are read: to judge, and for pictures.
    labels, n_classes = data.train.labels[: len(tokens)].numpy(), len(data.classes)
    yield from looks.agreements(clusterings, chosen, labels, n_classes, step)
    yield from looks.confusions("clusters", chosen, labels, data.classes, step)
    yield looks.tsne(points, chosen, labels, data.classes, config.tsne_images, seed, step)
    annotations = {
        "true": Annotation.of_classes(labels, n_classes),
        "pseudo": Annotation.of_clusters(chosen, labels, n_classes),
        "pseudo_core": Annotation.of_clusters(chosen, labels, n_classes, core(space, chosen)),
    }
    as_many = next((clusters for clusters in clusterings if clusters.k == n_classes), None)
    if as_many is not None:
        yield from looks.confusions(AS_MANY, as_many, labels, data.classes, step)
        annotations["pseudo_as_many_as_classes"] = Annotation.of_clusters(as_many, labels, n_classes)
    if of_codes:
        best = clustering.choose(of_codes, config.k_rule, config.k_given)
        yield from looks.codes(of_codes, best, labels, n_classes, step)
        annotations["pseudo_on_codes"] = Annotation.of_clusters(best, labels, n_classes)
    yield Progress("clustering", 2, 3)
    votes = yield from classifiers(config, data, annotations, env, step)
    yield pseudo_labelled(data, chosen, votes["pseudo"])
    yield Progress("clustering", 3, 3)
    return values


def on_codes(config: Config, points: Floats, ks: Sequence[int], seed: int) -> list[Clusters]:
    """KMeans on the codes of the first images, without an embedding: what the embedding is read against.

    Empty where the codes are clustered so anyway.
    """
    if config.embedding == "none" or not config.codes_images:
        return []
    points = points[: config.codes_images]
    return clustering.cluster(points, ks, CODES_INITIALISATIONS, seed, config.silhouette_images)


def embedded(config: Config, points: Floats, k_most: int, seed: int) -> Callable[[int], Floats]:
    """Where KMeans looks for K clusters, K up to ``k_most``: (n, dimensions).

    A graph of K clusters has K eigenvectors of its own; a few more keep apart what the graph itself would merge first.
    """
    if config.embedding == "none":
        return lambda k: points
    graph = embed(points, k_most + config.embedding_margin, config.embedding_neighbours, seed)
    return lambda k: graph.space(k + config.embedding_margin)


def of_no_clusters(config: Config, network: Autoencoder, tokens: Tensor, k: int, env: Env) -> float:
    """What the silhouette is, all else equal, where the tokens of each place go with those of the others by chance."""
    seed = derive_seed(env.seed, "clusters") % 2**31
    shuffled = by_place(tokens, len(tokens), env.generator("no clusters"))
    points = features(config, network, shuffled)
    clusterings = clustering.cluster(points, [k], 2, seed, config.silhouette_images, embedded(config, points, k, seed))
    return float(clusterings[0].silhouette.mean()) if clusterings else 0.0


def _silhouette(points: Floats, ids: Ints) -> float:
    from sklearn.metrics import silhouette_score

    return float(silhouette_score(points, ids))


def core(space: Floats, chosen: Clusters) -> Tensor:
    """Numbers of the images that are farthest from the borders of their cluster: CORE of each, in their order.

    Of each, not of all: else a loose cluster would lose all of its images, and a classifier never see its class.
    """
    deepest = np.argsort(-clustering.margins(space, chosen), kind="stable")
    members_by_cluster = [deepest[chosen.ids[deepest] == number] for number in range(chosen.k)]
    return torch.from_numpy(
        np.sort(np.concatenate([members[: max(1, round(CORE * len(members)))] for members in members_by_cluster]))
    )
