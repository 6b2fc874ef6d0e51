"""Triangles of simple bodies, and points drawn from triangles. A mesh is an array (triangles, 3 corners, 3 coordinates)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Mesh = NDArray[np.float64]
AROUND = 20  # segments of a circle


def box(centre: Sequence[float], size: Sequence[float]) -> Mesh:
    """Twelve triangles; ``size`` are whole edge lengths."""
    corners = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    corners = corners * np.asarray(size) + np.asarray(centre)
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return np.array([corners[list(corner)] for a, b, c, d in faces for corner in ((a, b, c), (a, c, d))])


def grid(points: NDArray[np.float64]) -> Mesh:
    """Two triangles for each cell of a grid of points (rows, columns, 3); those without an area are left out."""
    a, b, c, d = points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]
    triangles = np.concatenate([np.stack(corners, 2).reshape(-1, 3, 3) for corners in ((a, b, c), (a, c, d))])
    return triangles[areas(triangles) > 1e-9]


def revolution(profile: Sequence[tuple[float, float]], centre: tuple[float, float] = (0.0, 0.0)) -> Mesh:
    """The surface that a line of points (radius, height) sweeps around the vertical axis; radius 0 at an end closes it."""
    angles = np.linspace(0, 2 * np.pi, AROUND + 1)
    radius, height = np.array(profile).T
    x, y = radius[:, None] * np.cos(angles) + centre[0], radius[:, None] * np.sin(angles) + centre[1]
    return grid(np.stack([x, y, np.broadcast_to(height[:, None], x.shape)], 2))


def superellipsoid(radii: Sequence[float], exponents: tuple[float, float]) -> Mesh:
    """Between a box (exponents near 0), an ellipsoid (1) and an octahedron (2): Barr 1981."""

    def power(values: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
        powered: NDArray[np.float64] = np.sign(values) * np.abs(values) ** exponent
        return powered

    up, around = np.linspace(-np.pi / 2, np.pi / 2, 13)[:, None], np.linspace(-np.pi, np.pi, AROUND + 1)
    ring = power(np.cos(up), exponents[0])
    x, y = ring * power(np.cos(around), exponents[1]), ring * power(np.sin(around), exponents[1])
    z = np.broadcast_to(power(np.sin(up), exponents[0]), x.shape)
    return grid(np.stack([x, y, z], 2) * np.asarray(radii))


def torus(large: float, small: float) -> Mesh:
    """Around the vertical axis: the radius of the ring, and that of its tube."""
    angles = np.linspace(0, 2 * np.pi, 11)
    profile = np.stack([large + small * np.cos(angles), small * np.sin(angles)], 1)
    return revolution([(float(radius), float(height)) for radius, height in profile])


def areas(mesh: NDArray[np.floating]) -> NDArray[np.float64]:
    """Of each triangle."""
    sides = np.asarray(mesh, np.float64)
    crossed = np.cross(sides[:, 1] - sides[:, 0], sides[:, 2] - sides[:, 0])
    area: NDArray[np.float64] = np.linalg.norm(crossed, axis=1) / 2
    return area


def sample(mesh: Mesh, n: int, chance: np.random.RandomState) -> NDArray[np.float64]:
    """``n`` points (n, 3), uniform over the surface: a triangle by its area, then a place in it."""
    cumulative = np.cumsum(areas(mesh))
    chosen = mesh[np.searchsorted(cumulative, chance.random_sample(n) * cumulative[-1])]
    u, v = chance.random_sample((2, n, 1))
    outside = u + v > 1
    u, v = np.where(outside, 1 - u, u), np.where(outside, 1 - v, v)
    points: NDArray[np.float64] = chosen[:, 0] + u * (chosen[:, 1] - chosen[:, 0]) + v * (chosen[:, 2] - chosen[:, 0])
    return points
