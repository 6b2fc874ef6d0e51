"""Where KMeans finds what no ball encloses: coordinates of points on the graph of their nearest neighbours.

Ng, Jordan and Weiss 2001, "On spectral clustering". Nothing here is given a label.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]

COMPONENTS = 100  # principal components in which neighbours are looked for, at most
DENSE = 1_500  # points up to which all eigenvectors are computed, which is as fast there and misses none
TOLERANCE = 1e-6  # of an eigenvalue, relative; they lie near 1, some thousandths apart


@dataclass(frozen=True, eq=False)
class Embedding:
    """Eigenvectors (n, m) of a graph's normalised adjacency, and their eigenvalues (m,), the largest first, at most 1."""

    values: Floats
    vectors: Floats

    def space(self, dimensions: int) -> Floats:
        """Rows of the first so many eigenvectors, or of all, scaled to length 1: (n, dimensions)."""
        rows = self.vectors[:, :dimensions]
        scaled: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return scaled


def embed(points: Floats, dimensions: int, neighbours: int | None, seed: int) -> Embedding:
    """At most so many eigenvectors of the graph of ``points`` (n, features), n at least 3, in which close ones are joined.

    An edge weighs the square of the share of neighbours that its ends have in common: what lies between two clusters has
    few. ``neighbours`` of a point, itself aside; None: `enough_neighbours`.
    """
    near = nearest(points, min(neighbours or enough_neighbours(len(points)), len(points) - 1), seed)
    return eigenvectors(shared_neighbours(near).power(2), min(dimensions, len(points) - 2), seed)


def enough_neighbours(n: int) -> int:
    """log₂ n, rounded: it must grow with the logarithm, or clusters fall apart (von Luxburg 2007, arXiv:0711.0189, 8.1)."""
    return max(1, round(math.log2(n)))


def nearest(points: Floats, neighbours: int, seed: int) -> Ints:
    """Numbers of the nearest other points, (n, neighbours), exactly, in the space of the first principal components.

    Of 60,000 points they take a quarter of a minute of one core; a tree would be slower in so many dimensions.
    """
    from sklearn.decomposition import PCA
    from sklearn.neighbors import NearestNeighbors

    if min(points.shape) > COMPONENTS:
        points = PCA(COMPONENTS, svd_solver="randomized", random_state=seed).fit_transform(points)
    search = NearestNeighbors(n_neighbors=neighbours, algorithm="brute").fit(points)
    return np.asarray(search.kneighbors(return_distance=False), np.int64)


def shared_neighbours(near: Ints) -> Any:
    """A sparse matrix (n, n): of two points, one of which is among the other's nearest, the Jaccard index of those nearest.

    ``near`` (n, neighbours) are other points; a point is its own neighbour besides. Jarvis and Patrick 1973; weighted as in
    Levine et al. 2015 (PhenoGraph).
    """
    from scipy.sparse import csr_array

    n, neighbours = near.shape
    own = np.concatenate([np.arange(n)[:, None], near], axis=1)
    starts = np.arange(0, own.size + 1, neighbours + 1)
    joined = csr_array((np.ones(own.size), own.ravel(), starts), (n, n))
    joined.sort_indices()
    common = (joined @ joined.T).multiply(joined.maximum(joined.T)).tocsr()
    common.data /= 2 * (neighbours + 1) - common.data
    return common


def eigenvectors(weights: Any, n: int, seed: int) -> Embedding:
    """The first ``n`` of D^-½ W D^-½ for a symmetric sparse matrix W of weights with a positive sum D in each row.

    Eigenvalue 1 is there once for each component of the graph, and an iteration may miss copies of it. So those vectors
    are written down, √D on one component each, the largest first, and others are looked for at right angles to them.
    """
    from scipy.sparse import diags_array
    from scipy.sparse.csgraph import connected_components
    from scipy.sparse.linalg import LinearOperator, eigsh

    root = np.sqrt(np.asarray(weights.sum(axis=1)).ravel())
    scale = diags_array(1 / root)
    normalised = (scale @ weights @ scale).tocsr()
    size = len(root)
    if size <= DENSE:
        values, vectors = np.linalg.eigh(normalised.toarray())
        return Embedding(values[::-1][:n], vectors[:, ::-1][:, :n])
    parts, components = connected_components(normalised, directed=False)
    known = np.zeros((size, parts))
    known[np.arange(size), components] = root
    known = known[:, np.argsort(-np.bincount(components), kind="stable")]
    known /= np.linalg.norm(known, axis=0)
    more = n - parts
    if more <= 0:
        return Embedding(np.ones(n), known[:, :n])
    others = LinearOperator(
        (size, size), dtype=np.float64, matvec=lambda x: normalised @ x - 2 * (known @ (known.T @ x))
    )
    start = np.random.default_rng(seed).uniform(-1, 1, size)
    n_lanczos = min(size - 1, max(2 * n + 1, 60))
    values, vectors = eigsh(others, more, which="LA", v0=start, ncv=n_lanczos, tol=TOLERANCE)
    order = np.argsort(-values)
    return Embedding(np.concatenate([np.ones(parts), values[order]]), np.hstack([known, vectors[:, order]]))
