"""The best compromises between two objectives, and the knee among them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from orchestrator.analysis.scale import spans_decades


def front(points: Sequence[tuple[float, float]], signs: tuple[int, int]) -> list[int]:
    """Which points no other beats in both coordinates (each better when lower, times its sign), by the second one."""
    order = sorted(range(len(points)), key=lambda i: (signs[1] * points[i][1], signs[0] * points[i][0]))
    indices: list[int] = []
    for i in order:
        if not indices or signs[0] * points[i][0] < signs[0] * points[indices[-1]][0]:
            indices.append(i)
    return indices


def knee(points: Sequence[tuple[float, float]], signs: tuple[int, int]) -> int | None:
    """The point of a front that lies farthest below the line between its ends, both axes scaled to [0, 1].

    Axes are logarithmic where they span much. None for a front of fewer than three points, or one that has no knee.
    """
    if len(points) < 3:
        return None
    scaled = np.array([_scaled([point[axis] for point in points], signs[axis]) for axis in (0, 1)])
    below = 1 - scaled.sum(axis=0)  # the ends are at (1, 0) and (0, 1)
    best = int(below.argmax())
    return best if below[best] > 1e-9 else None


def _scaled(values: Sequence[float], sign: int) -> Any:
    laid = np.log(values) if spans_decades(values) else np.asarray(values, float)
    laid = sign * laid
    return (laid - laid.min()) / ((laid.max() - laid.min()) or 1.0)
