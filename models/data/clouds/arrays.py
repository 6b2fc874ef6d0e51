"""What every reader of point clouds returns, and what it refuses."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.data.arrays import DataError

DENSE = 2048  # points of a clean cloud, of which a training uses a part
LEAST_POINTS = 192  # of a cloud: three samples of 64
GRID = 2.0**-16  # coordinates are multiples of it, so that machines which round otherwise read the same

Triangles = tuple[NDArray[np.float32], ...]  # (t, 3 corners, 3) of each cloud; empty where there are none
CloudPart = tuple[NDArray[np.float32], NDArray[np.int64], Triangles]  # clouds (n, points, 3), labels (n,), triangles


class CloudArrays(NamedTuple):
    """Clean clouds as they were found, each in the unit sphere, and how many are to be held out."""

    source: str
    clouds: NDArray[np.float32]  # (n, points, 3), points of a cloud in random order
    labels: NDArray[np.int64]  # (n,), an index into classes
    classes: tuple[str, ...]
    triangles: Triangles
    validation: int | CloudPart  # clouds to hold out, or an official split
    test: int | CloudPart
    notes: tuple[str, ...] = ()
    stored: Mapping[str, NDArray[np.float32]] = {}  # corrupted ones as published, (n, points, 3) each, by "gaussian_3"


def in_unit_sphere(
    where: str, points: NDArray[np.floating], mesh: NDArray[np.floating] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Points and triangles about the mean of the points, the farthest point or corner at distance 1; rounded to GRID.

    Raises DataError, which names ``where`` the cloud stands, if it has no size that is finite and above 0.
    """
    mesh = np.zeros((0, 3, 3)) if mesh is None else mesh
    centre = points.mean(0)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite then is refused
        farthest = max(
            np.linalg.norm(places - centre, axis=-1).max(initial=0) for places in (points, mesh.reshape(-1, 3))
        )
    if not np.isfinite(farthest):
        raise DataError(f"{where}: a coordinate is no finite number, or too large; leave this cloud out")
    if farthest == 0:
        raise DataError(f"{where}: all points are at one place; leave this cloud out")
    moved = ((places - centre) / farthest for places in (points, mesh))
    rounded = [(np.rint(places / GRID) * GRID).astype(np.float32) for places in moved]
    return rounded[0], rounded[1]


def refuse_few(where: str, n: int, classes: int) -> None:
    """Raises DataError where there are too few clouds for three splits that each have every class."""
    if n < 3 * classes:
        raise DataError(
            f"{where} has too few clouds, {n}: add some, at least three of each class, {3 * classes} in all"
        )
