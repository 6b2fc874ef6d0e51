"""Graphs of neighbours and their eigenvectors: by hand, against dense algebra, and on shapes that KMeans cannot part."""

import numpy as np
import pytest

from models.parts.clustering import clustering, spectral


def rings(each: int) -> tuple[np.ndarray, np.ndarray]:
    """Two rings, one within the other: no plane parts them."""
    angle = np.linspace(0, 2 * np.pi, each, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    return np.concatenate([ring, 5 * ring]), np.repeat([0, 1], each)


def moons(each: int) -> tuple[np.ndarray, np.ndarray]:
    """Two half circles, each reaching into the other, with a little noise."""
    angle = np.linspace(0, np.pi, each)
    upper = np.stack([np.cos(angle), np.sin(angle)], 1)
    noise = 0.05 * np.random.default_rng(0).standard_normal((2 * each, 2))
    return np.concatenate([upper, [1, 0.5] - upper]) + noise, np.repeat([0, 1], each)


def groups(k: int, each: int) -> tuple[np.ndarray, np.ndarray]:
    """Tight heaps far from each other, as many components of the graph."""
    labels = np.repeat(np.arange(k), each)
    return 100 * np.eye(k)[labels] + np.random.default_rng(0).standard_normal((k * each, k)), labels


@pytest.mark.parametrize("dense", [0, 10_000])
@pytest.mark.parametrize("shape", [rings, moons])
def test_what_kmeans_cannot_part_the_graph_does(
    shape: type[rings], dense: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spectral, "DENSE", dense)
    points, labels = shape(150)
    (plain,) = clustering.cluster(points, [2], 5, 0, scored=1000)
    space = spectral.embed(points, 2, 8, 0).space(2)
    (parted,) = clustering.cluster(points, [2], 5, 0, 1000, lambda k: space)
    assert clustering.agreement(labels, plain.ids)["acc"] < 0.9
    assert clustering.agreement(labels, parted.ids)["acc"] > 0.98


@pytest.mark.parametrize("dense", [0, 10_000])
def test_every_component_of_a_graph_is_found(dense: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its eigenvalue 1 is as many times there, which an iteration may miss."""
    monkeypatch.setattr(spectral, "DENSE", dense)
    points, labels = groups(8, 40)
    found = spectral.embed(points, 9, 8, 0)
    assert np.allclose(found.values[:8], 1, atol=1e-6) and found.values[8] < 0.999
    (eight,) = clustering.cluster(points, [8], 5, 0, 1000, lambda k: found.space(k))
    assert clustering.agreement(labels, eight.ids)["acc"] == 1
    assert spectral.embed(points, 5, 8, 0).vectors.shape == (320, 5), "no more than are asked for"


def test_eigenvectors_of_a_large_graph_are_those_of_dense_algebra(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(0).standard_normal((300, 3))
    dense = spectral.embed(points, 6, 10, 0)
    monkeypatch.setattr(spectral, "DENSE", 0)
    monkeypatch.setattr(spectral, "TOLERANCE", 1e-10)
    large = spectral.embed(points, 6, 10, 0)
    assert large.values == pytest.approx(dense.values) and dense.values[0] == pytest.approx(1)
    assert np.abs((large.vectors * dense.vectors).sum(0)) == pytest.approx(np.ones(6)), "but for their signs"
    assert np.linalg.norm(large.space(4), axis=1) == pytest.approx(np.ones(300)) and large.space(4).shape == (300, 4)


def test_eigenvalues_by_hand() -> None:
    """Two points joined by a weight as large as each has with itself: D^-½ W D^-½ is ½ everywhere."""
    from scipy.sparse import csr_array

    found = spectral.eigenvectors(csr_array(np.full((2, 2), 3.0)), 2, 0)
    assert found.values == pytest.approx([1, 0]) and np.abs(found.vectors) == pytest.approx(np.full((2, 2), 0.5**0.5))


def test_points_share_neighbours_by_hand() -> None:
    """On a line, with one neighbour each: 0 and 1 have both in common; 1 is 2's, which has one of three; 3 is 2's, too."""
    near = spectral.nearest(np.array([[0.0], [1.0], [2.5], [4.5]]), 1, 0)
    assert near.tolist() == [[1], [0], [1], [2]]
    third = 1 / 3
    expected = np.array([[1, 1, 0, 0], [1, 1, third, 0], [0, third, 1, third], [0, 0, third, 1]])
    assert spectral.shared_neighbours(near).toarray() == pytest.approx(expected)


def test_neighbours_are_found_among_many_features() -> None:
    """Of pairs in 300 dimensions that lie close, each has the other nearest, though fewer components are looked at."""
    chance = np.random.default_rng(0)
    first = 10 * chance.standard_normal((150, 300))
    near = spectral.nearest(np.concatenate([first, first + 0.1 * chance.standard_normal((150, 300))]), 1, 0)
    assert (near[:, 0] == (np.arange(300) + 150) % 300).all()


def test_neighbours_grow_with_the_logarithm() -> None:
    assert [spectral.enough_neighbours(n) for n in (2, 1_024, 60_000)] == [1, 10, 16]
