"""KMeans over K, the rule, and the reading of clusters as classes."""

import numpy as np
import pytest

from models.parts import clustering


def blobs(k: int, each: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Points around k corners of a large simplex, and which corner each belongs to, in shuffled order."""
    chance = np.random.default_rng(0)
    labels = chance.permutation(np.repeat(np.arange(k), each))
    return 10 * np.eye(k)[labels] + spread * chance.standard_normal((k * each, k)), labels.astype(np.int64)


@pytest.mark.parametrize("rule", ["silhouette", "davies_bouldin", "calinski_harabasz"])
def test_every_rule_finds_clusters_that_are_far_apart(rule: clustering.Rule) -> None:
    points, labels = blobs(4, 20, 0.5)
    found = clustering.cluster(points, range(2, 8), 3, 0, scored=1000)
    chosen = clustering.choose(found, rule, 0)
    assert chosen.k == 4 and chosen.silhouette.mean() > 0.9
    assert clustering.agreement(labels, chosen.ids) == {"acc": 1, "purity": 1, "nmi": 1, "ari": 1}
    assert np.allclose(chosen.centres, [points[chosen.ids == number].mean(0) for number in range(4)])


def test_scores_are_of_every_initialisation_and_largest_clusters_come_first() -> None:
    points, _ = blobs(5, 10, 3.0)
    for one in clustering.cluster(points, range(2, 6), 4, 0, scored=1000):
        assert one.silhouette.shape == one.davies_bouldin.shape == one.calinski_harabasz.shape == (4,)
        assert (np.diff(np.bincount(one.ids)) <= 0).all()


def test_the_given_k_is_taken_or_the_nearest_that_could_be_tried() -> None:
    points = np.repeat(np.eye(4), 5, axis=0)  # four different points: three clusters at most
    found = clustering.cluster(points, range(2, 9), 2, 0, scored=1000)
    assert [one.k for one in found] == [2, 3]
    assert clustering.choose(found, "given", 2).k == 2 and clustering.choose(found, "given", 8).k == 3
    assert clustering.cluster(np.ones((10, 2)), range(2, 4), 2, 0, scored=1000) == []


def test_spectral_coordinates_tell_rings_apart_that_kmeans_cannot() -> None:
    """Two rings, one within the other: no plane parts them, their graph of neighbours does."""
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    points, labels = np.concatenate([ring, 5 * ring]), np.repeat([0, 1], 60)
    (plain,) = clustering.cluster(points, [2], 5, 0, scored=1000)
    (spectral,) = clustering.cluster(clustering.embed(points, 2, 5, 0), [2], 5, 0, scored=1000)
    assert clustering.agreement(labels, plain.ids)["acc"] < 0.9
    assert clustering.agreement(labels, spectral.ids)["acc"] == 1


def test_points_share_neighbours_by_hand() -> None:
    """On a line, with one neighbour each: 0 and 1 have both in common; 1 is 2's, which has one of three; 3 is 2's, too."""
    shares = clustering.shared_neighbours(np.array([[0.0], [1.0], [2.5], [4.5]]), 1).toarray()
    third = 1 / 3
    assert shares == pytest.approx(np.array([[1, 1, 0, 0], [1, 1, third, 0], [0, third, 1, third], [0, 0, third, 1]]))


def test_the_hungarian_reading_by_hand() -> None:
    """Clusters 0 and 1 are both mostly class 0; the one that has more of it gets it, and a third stays without a class."""
    counts = np.array([[5, 9, 0], [1, 0, 2]])
    assert clustering.hungarian(counts).tolist() == [-1, 0, 1]
    labels = np.repeat([0, 1], [14, 3])
    ids = np.repeat([0, 1, 0, 2], [5, 9, 1, 2])
    assert clustering.contingency(labels, ids, 2, 3).tolist() == counts.tolist()
    read = clustering.agreement(labels, ids)
    assert read["acc"] == pytest.approx(11 / 17) and read["purity"] == pytest.approx(16 / 17)
