"""KMeans over K, the rule, and the reading of clusters as classes."""

import numpy as np
import pytest

from models.parts.clustering import clustering


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


def test_each_k_is_looked_for_in_its_own_space() -> None:
    """A line of points as two heaps where two clusters are looked for, as four where four are."""
    points = np.linspace(-1, 1, 40)[:, None]
    spaces = {2: np.sign(points), 4: np.repeat(np.arange(4.0), 10)[:, None]}
    two, four = clustering.cluster(points, [2, 4], 2, 0, scored=1000, space=lambda k: spaces[k])
    assert np.bincount(two.ids).tolist() == [20, 20] and np.bincount(four.ids).tolist() == [10] * 4
    assert two.silhouette.mean() == four.silhouette.mean() == 1, "scores are of that space"


def test_margins_by_hand() -> None:
    """Centres at 0 and 10: a point at 4 is 4 from one and 6 from the other."""
    points = np.array([[-1.0], [1.0], [9.0], [11.0]])
    (two,) = clustering.cluster(points, [2], 2, 0, scored=1000)
    assert clustering.margins(np.array([[4.0], [0.0], [10.0], [5.0]]), two).tolist() == [2, 10, 10, 0]


def test_the_hungarian_reading_by_hand() -> None:
    """Clusters 0 and 1 are both mostly class 0; the one that has more of it gets it, and a third stays without a class."""
    counts = np.array([[5, 9, 0], [1, 0, 2]])
    assert clustering.hungarian(counts).tolist() == [-1, 0, 1]
    labels = np.repeat([0, 1], [14, 3])
    ids = np.repeat([0, 1, 0, 2], [5, 9, 1, 2])
    assert clustering.contingency(labels, ids, 2, 3).tolist() == counts.tolist()
    read = clustering.agreement(labels, ids)
    assert read["acc"] == pytest.approx(11 / 17) and read["purity"] == pytest.approx(16 / 17)
