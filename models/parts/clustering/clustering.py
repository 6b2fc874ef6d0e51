"""KMeans over a range of K, its scores without labels, and the K that a rule chooses; agreement with labels, for reading only.

Nothing that clusters or chooses is given a label: `cluster` has no argument for one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.parts.clustering.spectral import Floats, Ints

Rule = Literal["silhouette", "davies_bouldin", "calinski_harabasz", "given"]


@dataclass(frozen=True, eq=False)
class Clusters:
    """One K: the initialisation of least inertia, and the scores of all."""

    k: int
    ids: Ints  # (n,), 0 … k − 1, largest cluster first
    centres: Floats  # (k, dimensions)
    silhouette: Floats  # (initialisations,), in [−1, 1], higher is better
    davies_bouldin: Floats  # (initialisations,), at least 0, lower is better
    calinski_harabasz: Floats  # (initialisations,), higher is better


def cluster(
    points: Floats,
    ks: Sequence[int],
    initialisations: int,
    seed: int,
    scored: int,
    space: Callable[[int], Floats] | None = None,
) -> list[Clusters]:
    """KMeans of ``points`` (n, features) for each of ``ks``, from so many k-means++ starts each.

    ``space`` gives the points (n, dimensions) as K clusters are looked for, where that is not as they are. Scores are means
    over the first ``scored`` points, or all: the silhouette compares every pair. A K that is not below the number of distinct
    points among these is left out; the list is empty where that leaves none.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score

    distinct = len(np.unique(points[:scored], axis=0))
    clusterings = []
    for k in ks:
        if k >= distinct:
            continue
        features = space(k) if space else points
        runs = [KMeans(k, n_init=1, random_state=seed + number).fit(features) for number in range(initialisations)]
        scores: dict[str, list[float]] = {"silhouette": [], "davies_bouldin": [], "calinski_harabasz": []}
        for run in runs:
            scored_part = features[:scored], run.labels_[:scored]
            if len(np.unique(scored_part[1])) < 2:
                continue
            scores["silhouette"].append(float(silhouette_score(*scored_part)))
            scores["davies_bouldin"].append(float(davies_bouldin_score(*scored_part)))
            scores["calinski_harabasz"].append(float(calinski_harabasz_score(*scored_part)))
        if not scores["silhouette"]:
            continue
        best = min(runs, key=lambda run: float(run.inertia_))
        order = np.argsort(-np.bincount(best.labels_, minlength=k), kind="stable")
        ids = np.argsort(order)[best.labels_].astype(np.int64)
        arrays = {name: np.array(values) for name, values in scores.items()}
        clusterings.append(Clusters(k, ids, best.cluster_centers_[order], **arrays))
    return clusterings


def choose(clusterings: Sequence[Clusters], rule: Rule, given: int) -> Clusters:
    """The K with the best mean score over its initialisations, the smallest of equals; or the K nearest to ``given``."""
    if rule == "given":
        return min(clusterings, key=lambda clusters: abs(clusters.k - given))
    best = min if rule == "davies_bouldin" else max
    return best(clusterings, key=lambda clusters: float(getattr(clusters, rule).mean()))


def margins(space: Floats, chosen: Clusters) -> Floats:
    """How much nearer each point (n, dimensions) is to the centre of its cluster than to the next: (n,), 0 at a border."""
    from sklearn.metrics import pairwise_distances

    ordered = np.sort(pairwise_distances(space, chosen.centres), axis=1)
    differences: Floats = ordered[:, 1] - ordered[:, 0]
    return differences


def contingency(labels: Ints, ids: Ints, n_labels: int, k: int) -> Ints:
    """Counts (n_labels, k): a row for each true class, a column for each cluster."""
    counts = np.bincount(labels * k + ids, minlength=n_labels * k)
    return counts.reshape(n_labels, k).astype(np.int64)


def hungarian(counts: Ints) -> Ints:
    """The class of each cluster, (k,), so that most images agree, no class twice; −1 where clusters are more than classes."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(counts, maximize=True)
    mapping = np.full(counts.shape[1], -1, np.int64)
    mapping[columns] = rows
    return mapping


def agreement(labels: Ints, ids: Ints) -> Mapping[str, float]:
    """ACC by the Hungarian method, purity (each cluster read as its commonest class), NMI and ARI: 1 is the same partition.

    Purity rises with the number of clusters, so it compares only at one K.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    counts = contingency(labels, ids, int(labels.max()) + 1, int(ids.max()) + 1)
    mapping = hungarian(counts)
    right = sum(int(counts[row, column]) for column, row in enumerate(mapping) if row >= 0)
    return {
        "acc": right / len(labels),
        "purity": float(counts.max(0).sum() / len(labels)),
        "nmi": float(normalized_mutual_info_score(labels, ids)),
        "ari": float(adjusted_rand_score(labels, ids)),
    }
