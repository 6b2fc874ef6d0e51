"""Schedules of a step size or a noise over a chain of T steps: constant, geometric, linear, cosine.

All are read at t/T for t = 1 … T, so the last step has exactly the end value; ``geometric`` is
start · (end / start)^(t/T).
"""

import math
from collections.abc import Callable

Schedule = Callable[[int], float]
"""Index of a step, from 0 -> value at that step."""

Shape = Callable[[float, float, float], float]
"""(start, end, progress in (0, 1]) -> value."""


def _constant(start: float, end: float, progress: float) -> float:
    return start


def _geometric(start: float, end: float, progress: float) -> float:
    return float(start * (end / start) ** progress)


def _linear(start: float, end: float, progress: float) -> float:
    return start + (end - start) * progress


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


SHAPES: dict[str, Shape] = {
    "constant": _constant,
    "geometric": _geometric,
    "linear": _linear,
    "cosine": _cosine,
}


def build(name: str, start: float, end: float, n_steps: int) -> Schedule:
    """The schedule called ``name`` from ``start`` towards ``end`` over ``n_steps`` steps; it stays at its end beyond.

    Raises ValueError for an unknown name, for ``n_steps`` < 1 and for a geometric schedule that does not stay above 0.
    """
    if name not in SHAPES:
        raise ValueError(f"no schedule '{name}'; there are: {', '.join(SHAPES)}")
    if n_steps < 1:
        raise ValueError(f"a schedule needs at least one step, not {n_steps}")
    if name == "geometric" and not (start > 0 and end > 0):
        raise ValueError(
            f"a geometric schedule needs start and end above 0, not {start:g} and {end:g}; linear can reach 0"
        )
    shape = SHAPES[name]
    return lambda step: shape(start, end, min(1.0, (step + 1) / n_steps))
