"""What is seen of clusters: scores against K, images inside them and at their borders, and what true classes they are made of."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from models.data import dataset as datasets
from models.events import Curve, Event, Images, Matrix, Points, Scalars
from models.parts.clustering import clustering
from models.parts.clustering.clustering import Clusters, agreement
from models.parts.clustering.spectral import Floats, Ints
from models.parts.evaluation.pictures import plane

QUANTILES = 51  # of the silhouettes of a cluster
AS_MANY = "clusters_as_many_as_classes"  # what is said of K = the number of classes, where another K was chosen
CODES = "kmeans_on_codes"  # what is said of clusters without an embedding


def curves(clusterings: Sequence[Clusters], chosen: Clusters, step: int) -> Iterator[Event]:
    """Scores against K, the silhouette with its range over initialisations."""
    x = [float(clusters.k) for clusters in clusterings]
    lines = {
        "mean": [float(clusters.silhouette.mean()) for clusters in clusterings],
        "highest": [float(clusters.silhouette.max()) for clusters in clusterings],
        "lowest": [float(clusters.silhouette.min()) for clusters in clusterings],
    }
    n = len(chosen.silhouette)
    axis = f"K (chosen {chosen.k})"
    yield Curve(step, "clusters/silhouette", x, lines, axis, f"silhouette over {n} initialisations")
    for name in ("davies_bouldin", "calinski_harabasz"):
        scores = {"mean": [float(getattr(clusters, name).mean()) for clusters in clusterings]}
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
    return _rows("clusters/borders", clustering.margins(space, chosen), chosen, data, step)


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


def agreements(
    clusterings: Sequence[Clusters], chosen: Clusters, labels: Ints, n_classes: int, step: int
) -> Iterator[Event]:
    """How far clusters are the true classes: at the chosen K, at as many clusters as classes, and against K."""
    agreements_by_k = [agreement(labels, clusters.ids) for clusters in clusterings]
    lines = {name.upper(): [scores[name] for scores in agreements_by_k] for name in ("acc", "nmi", "ari")}
    x = [float(clusters.k) for clusters in clusterings]
    yield Curve(step, "clusters/agreement", x, lines, f"K (chosen {chosen.k})", "agreement with true classes")
    values: dict[str, float] = {}
    for clusters, scores in zip(clusterings, agreements_by_k, strict=True):
        if clusters is chosen:
            values |= {f"clusters/{name}": score for name, score in scores.items()}
        if clusters.k == n_classes:
            values |= {f"{AS_MANY}/{name}": score for name, score in scores.items()}
            values[f"{AS_MANY}/silhouette"] = float(clusters.silhouette.mean())
    yield Scalars(step, values)


def codes(clusterings: Sequence[Clusters], best: Clusters, labels: Ints, n_classes: int, step: int) -> Iterator[Event]:
    """Of KMeans without an embedding: silhouettes against K, and agreement at the best K and at as many as classes."""
    x = [float(clusters.k) for clusters in clusterings]
    lines = {"mean": [float(clusters.silhouette.mean()) for clusters in clusterings]}
    yield Curve(step, f"{CODES}/silhouette_by_k", x, lines, f"K (best {best.k})", "silhouette of codes not embedded")
    values = {f"{CODES}/k": float(best.k), f"{CODES}/silhouette": float(best.silhouette.mean())}
    for clusters in clusterings:
        scores = agreement(labels[: len(clusters.ids)], clusters.ids)
        if clusters is best:
            values |= {f"{CODES}/{name}": score for name, score in scores.items()}
        if clusters.k == n_classes:
            values |= {f"{CODES}_as_many_as_classes/{name}": score for name, score in scores.items()}
    yield Scalars(step, values)


def confusions(key: str, chosen: Clusters, labels: Ints, classes: Sequence[str], step: int) -> Iterator[Event]:
    """True classes against cluster ids, against the classes that the Hungarian method reads them as, and shares.

    The shares of each true class within each cluster are drawn as bars, and written in percent.
    """
    counts = clustering.contingency(labels, chosen.ids, len(classes), chosen.k)
    names = [str(number) for number in range(chosen.k)]
    yield Matrix(step, f"{key}/confusion", torch.from_numpy(counts), classes, names, column_label="cluster")
    mapping = clustering.hungarian(counts)
    mapped = np.zeros((len(classes), len(classes) + 1), np.int64)
    np.add.at(mapped.T, mapping, counts.T)  # −1, a cluster without a class, is the last column
    columns = [*classes, "none"] if (mapping < 0).any() else classes
    read = torch.from_numpy(mapped[:, : len(columns)])
    yield Matrix(step, f"{key}/confusion_mapped", read, classes, columns, column_label="cluster, read as a class")
    shares = torch.from_numpy((counts / counts.sum(0)).T)
    parts = "share of each true class"
    yield Matrix(step, f"{key}/label_shares", shares, names, classes, "cluster", parts, stacked=True)
    yield Matrix(
        step,
        f"{key}/label_percentages",
        (100 * shares).round(),
        names,
        classes,
        "cluster",
        "true class (% of the cluster)",
    )


def tsne(
    points: Floats, chosen: Clusters, labels: Ints, classes: Sequence[str], most: int, seed: int, step: int
) -> Points:
    """The first images' codes, not embedded, in two dimensions, by true class and by cluster."""
    shown_points = points[:most]
    groups = {
        "true class": [classes[label] for label in labels[: len(shown_points)]],
        "cluster": [str(number) for number in chosen.ids[: len(shown_points)]],
    }
    return Points(step, "clusters/tsne", plane(shown_points, seed), groups)
