"""What the trials of a comparison support: means with intervals, paired tests corrected for their number, and texts.

Intervals hold 95 %. Quality is compared in pairs of trials that share a seed: where all values are above 0 by their ratio
(a paired t test of logarithms), else by their difference. Holm's correction (1979) keeps the chance of any false finding
among all tests of a comparison at 5 %.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, count
from statistics import fmean
from typing import NamedTuple

from orchestrator.search.factorial import Comparison
from orchestrator.search.trials import Trial

LEVEL = 0.05
LEAST = 3  # pairs that a test asks for
ROUNDING = 1e-9  # differences below it are of arithmetic


class Interval(NamedTuple):
    """A mean or a share with its 95 % interval; the bounds are NaN where there is only one value."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Contrast:
    """A paired test. ``effect`` is a over b where ``ratio``, else a minus b."""

    a: str
    b: str
    of: str  # the field whose values are a and b; '' for arms
    n: int  # pairs
    ratio: bool
    effect: float
    low: float
    high: float
    p: float
    adjusted: float = math.nan

    @property
    def significant(self) -> bool:
        """Whether the difference is significant at the level."""
        return self.adjusted < LEVEL


def interval(values: Sequence[float]) -> Interval:
    """Mean and Student's interval."""
    from scipy import stats

    mean = fmean(values)
    if len(values) < 2:
        return Interval(mean, math.nan, math.nan, len(values))
    half = float(stats.t.ppf(1 - LEVEL / 2, len(values) - 1)) * float(stats.sem(values))
    return Interval(mean, mean - half, mean + half, len(values))


def share(k: int, n: int) -> Interval:
    """A share with Wilson's interval (1927), which holds for few trials and for shares of 0 and 1 too."""
    from scipy import stats

    bounds = stats.binomtest(k, n).proportion_ci(1 - LEVEL, method="wilson")
    return Interval(k / n, float(bounds.low), float(bounds.high), n)


def paired(a: Sequence[float], b: Sequence[float]) -> tuple[bool, float, float, float, float]:
    """Whether it is a ratio; the effect of a against b, its interval, and the two-sided p of no effect."""
    from scipy import stats

    ratio = min(*a, *b) > 0
    differences = [math.log(x / y) if ratio else x - y for x, y in zip(a, b, strict=True)]
    mean, low, high, n = interval(differences)
    spread = float(stats.sem(differences))
    if spread < ROUNDING:  # all pairs differ by the same: nothing to doubt, or nothing there
        p = 1.0 if abs(mean) < ROUNDING else 0.0
    else:
        p = float(2 * stats.t.sf(abs(mean) / spread, n - 1))
    return (True, math.exp(mean), math.exp(low), math.exp(high), p) if ratio else (False, mean, low, high, p)


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p values (Holm 1979): rejecting those below a level keeps the chance of any false rejection below it."""
    adjusted, worst = [0.0] * len(p), 0.0
    for rank, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        worst = max(worst, min(1.0, (len(p) - rank) * p[i]))
        adjusted[i] = worst
    return adjusted


def by_arm(trials: Iterable[Trial], arms: int) -> list[dict[int, float]]:
    """For each arm, its completed trials' values by replicate."""
    values: list[dict[int, float]] = [{} for _ in range(arms)]
    for trial in trials:
        if trial.value is not None and trial.arm is not None and trial.replicate is not None:
            values[trial.arm][trial.replicate] = trial.value
    return values


def ranked(values: Sequence[Mapping[int, float]], direction: str) -> list[int]:
    """Arms with values, the best mean first."""
    sign = 1 if direction == "minimize" else -1
    return sorted(
        (i for i, arm_values in enumerate(values) if arm_values), key=lambda i: sign * fmean(values[i].values())
    )


def _adjust(contrasts: Sequence[Contrast]) -> list[Contrast]:
    adjusted = holm([contrast.p for contrast in contrasts])
    return [replace(contrast, adjusted=p) for contrast, p in zip(contrasts, adjusted, strict=True)]


def _test(a: str, b: str, of: str, first: Mapping[int, float], second: Mapping[int, float]) -> Contrast | None:
    shared = sorted(first.keys() & second.keys())
    if len(shared) < LEAST:
        return None
    return Contrast(a, b, of, len(shared), *paired([first[k] for k in shared], [second[k] for k in shared]))


def _contrast(comparison: Comparison, a: int, b: int, values: Sequence[Mapping[int, float]]) -> Contrast | None:
    return _test(comparison.arms[a].name, comparison.arms[b].name, "", values[a], values[b])


def contrasts(comparison: Comparison, trials: Sequence[Trial], direction: str) -> list[Contrast]:
    """Every factor's values against each other, averaged over the other factors; then the best arm against the others.

    A factor's values are compared by the seeds with which all of its arms were completed.
    """
    values = by_arm(trials, len(comparison.arms))
    tests: list[Contrast | None] = []
    if len(comparison.vary) > 1:
        for name, levels in comparison.vary.items():
            means = {str(level): _level(comparison, values, name, level) for level in levels}
            tests += [_test(a, b, name, means[a], means[b]) for a, b in combinations(means, 2)]
    order = ranked(values, direction)
    tests += [_contrast(comparison, order[0], other, values) for other in order[1:]]
    return _adjust([test for test in tests if test is not None])


def _level(comparison: Comparison, values: Sequence[Mapping[int, float]], name: str, level: object) -> dict[int, float]:
    """Means over the arms with ``name`` at ``level``, by the replicates that all of them have."""
    arm_values = [values[i] for i in comparison.of_factorial if comparison.arms[i].settings[name] == level]
    shared = set.intersection(*(set(by_replicate) for by_replicate in arm_values))
    positive = all(by_replicate[k] > 0 for by_replicate in arm_values for k in shared)
    if positive:  # the geometric mean, for ratios
        return {k: math.exp(fmean(math.log(by_replicate[k]) for by_replicate in arm_values)) for k in shared}
    return {k: fmean(by_replicate[k] for by_replicate in arm_values) for k in shared}


def losers(comparison: Comparison, trials: Sequence[Trial], direction: str) -> dict[int, str]:
    """Arms of a race that are significantly worse than the best one, and why: worse values, or completed less often.

    Judged are blocks of seeds that all arms in the race have ended. Each look is a test at the level, so many looks find a
    false loser more often: a race is for finding the best arm.
    """
    from scipy import stats

    alive = [i for i, arm in enumerate(comparison.arms) if not arm.dropped]
    ended = {(trial.arm, trial.replicate) for trial in trials}
    blocks = next(n for n in count() if not all((arm, n) in ended for arm in alive))
    judged = [trial for trial in trials if trial.replicate is not None and trial.replicate < blocks]
    values = by_arm(judged, len(comparison.arms))
    order = [i for i in ranked(values, direction) if i in alive]
    if not order:
        return {}
    best, suspects = order[0], []
    for arm in alive:
        completed, of_best = len(values[arm]), len(values[best])
        if completed < of_best:
            table = [[completed, blocks - completed], [of_best, blocks - of_best]]
            p = float(stats.fisher_exact(table, alternative="less").pvalue)
            suspects.append((arm, p, f"completed {completed} of {blocks} times, the best arm {of_best}"))
        contrast = _contrast(comparison, arm, best, values) if arm != best else None
        if contrast is not None:
            suspects.append((arm, contrast.p, f"{effect_text(contrast)} the best arm's with {contrast.n} seeds"))
    adjusted = holm([p for _, p, _ in suspects])
    return {
        arm: f"{why} (p = {p:.2g})"
        for (arm, _, why), p in reversed(list(zip(suspects, adjusted, strict=True)))
        if p < LEVEL
    }


def effect_text(contrast: Contrast) -> str:
    """The effect and its interval: "1.31 (1.10 to 1.56) times"."""
    bounds = f"{contrast.effect:.3g} ({contrast.low:.3g} to {contrast.high:.3g})"
    return f"{bounds} times" if contrast.ratio else f"{bounds} above"


def reached(curve: Sequence[tuple[float, float]], score: float, direction: str) -> float | None:
    """The first update of a ``curve`` at which the objective was at least as good as ``score``; None where it never was."""
    sign = 1 if direction == "minimize" else -1
    return next((update for update, value in curve if sign * value <= sign * score), None)


def mark(trials: Sequence[Trial], direction: str) -> float | None:
    """The score to whose reaching convergence is timed: the median of all completed trials' last values."""
    values = sorted(trial.value for trial in trials if trial.value is not None)
    return values[len(values) // 2] if values else None
