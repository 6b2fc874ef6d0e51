"""At which updates a training reports and is evaluated, and from when a bad report counts."""

import math
from collections.abc import Mapping

REPORTS = 100  # over a training, about


def is_report_step(step: int, updates: int, times: int = REPORTS) -> bool:
    """Whether ``step`` of ``updates`` is one of about ``times`` moments, evenly over training, or the last."""
    return step % max(1, updates // times) == 0 or step == updates


def milestones(updates: int, parts: int) -> set[int]:
    """Updates after which a part of training is over, except the last part, after which training is over."""
    return {updates * part // parts for part in range(1, parts)} - {0}


def past_grace_period(step: int, updates: int, least: int) -> bool:
    """Whether a training that still looks bad is no longer excused: after ``least`` updates and a quarter of all."""
    return step > max(least, updates // 4)


def finite(values: Mapping[str, float]) -> dict[str, float]:
    """The values that are finite numbers: a curve has a gap where there is none."""
    return {name: value for name, value in values.items() if math.isfinite(value)}
