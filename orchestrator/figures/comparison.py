"""The picture of a comparison: how each arm gets on, as a mean with its band, and where its trials end."""

import math
from collections.abc import Sequence
from statistics import fmean

from matplotlib.figure import Figure

from orchestrator.analysis.comparison import ComparedTrial, Result
from orchestrator.analysis.paired_tests import interval
from orchestrator.analysis.scale import spans_decades
from orchestrator.figures.canvas import LINES, blank, value_axis
from orchestrator.figures.subject import Subject
from orchestrator.search.factorial import Comparison

STYLES = ("-", "--", ":", "-.")
SPREAD = 8  # from the least to the greatest value: beyond, the axis is logarithmic


def of_sweep(subject: Subject) -> Figure | None:
    """``bands`` of a comparison with completed trials; None for other sweeps."""
    compared = subject.book.spec.comparison
    if compared is None or subject.compared is None or subject.compared[0].best is None:
        return None
    return bands(subject.compared[0], compared, subject.compared[1])


def bands(result: Result, comparison: Comparison, trials: Sequence[ComparedTrial]) -> Figure:
    """Left: mean and 95 % band of the objective over training. Right: every trial's end, and their mean with its interval.

    The cost of training is in network evaluations where all trials count them, else in updates.
    """
    completed = [entry for entry in trials if entry.trial.outcome == "complete"]
    counted = bool(completed) and all(entry.cost is not None for entry in completed)
    values = [value for entry in completed for _, value in entry.curve]
    values += [entry.trial.values[0] for entry in completed]
    log = spans_decades(values, SPREAD)
    arms = comparison.arms
    height = 3.2 + 0.28 * len(arms)
    figure = blank(
        11, height, f"{result.objective}, {'lower' if result.direction == 'minimize' else 'higher'} is better"
    )
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    left.set_xlabel("network evaluations" if counted else "updates")
    for i, arm in enumerate(arms):
        color, style = LINES[i % len(LINES)], STYLES[i // len(LINES) % len(STYLES)]
        of_arm = [entry for entry in completed if entry.trial.arm == i]
        ends = [entry.trial.values[0] for entry in of_arm]
        lost = sum(entry.trial.arm == i for entry in trials) - len(of_arm)
        label = arm.name + (f" ({lost} not completed)" if lost else "") + (" (dropped)" if arm.dropped else "")
        x, mean, low, high = _curve(of_arm, counted)
        left.plot(x, mean, style, color=color, marker="o", markersize=3.5, label=label)
        left.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
        if ends:
            right.plot([i] * len(ends), ends, "o", color=color, alpha=0.45, markersize=5, markeredgewidth=0)
            middle = interval(ends)
            bounds = None if math.isnan(middle.low) else [[middle.mean - middle.low], [middle.high - middle.mean]]
            right.errorbar([i + 0.2], [middle.mean], bounds, fmt="s", color=color, capsize=4, markersize=5)
    if result.mark is not None:
        left.axhline(result.mark, color="0.5", linewidth=0.8, linestyle=":")
    right.set_xticks(range(len(arms)), [str(i) for i in range(len(arms))])
    right.set_xlim(-0.5, len(arms) - 0.5)
    right.set_xlabel("arm, in the legend's order:\ntrials, and mean with 95 % interval")
    right.grid(alpha=0.3)
    if log:
        left.set_ylim(0.8 * min(values), 1.25 * max(values))  # an interval may reach below 0
    value_axis(figure, left, result.objective, log)
    figure.legend(loc="outside lower center", fontsize=9, ncols=2)
    return figure


def _curve(of_arm: Sequence[ComparedTrial], counted: bool) -> tuple[list[float], list[float], list[float], list[float]]:
    """Cost, mean and band at the updates at which at least one trial of an arm looked at itself."""
    at: dict[float, list[float]] = {}
    for entry in of_arm:
        for update, value in entry.curve:
            at.setdefault(update, []).append(value)
    cost = fmean(entry.cost or 0.0 for entry in of_arm) if counted and of_arm else 1.0
    steps = sorted(update for update, values in at.items() if len(values) == len(of_arm))
    intervals = [interval(at[update]) for update in steps]
    x = [update * cost for update in steps]
    return (
        x,
        [entry.mean for entry in intervals],
        [entry.low for entry in intervals],
        [entry.high for entry in intervals],
    )
