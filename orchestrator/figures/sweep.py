"""A sweep as figures: its history, what the objective depends on, and slices through all trials."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from orchestrator.analysis.scale import spans_decades
from orchestrator.figures.canvas import BEST, LINES, blank, fold, short, value_axis
from orchestrator.search.trials import Trial

Shares = Callable[[], Mapping[str, float]]  # of the objective's variance, by parameter; see importance.shares


def sweep_figures(every_trial: Sequence[Trial], objective: str, sign: int, shares: Shares) -> dict[str, Figure]:
    """The sweep as "history", "importance", "slices" and "parallel"; of several objectives, by the first.

    A figure is left out where the study cannot bear it yet: all of them before two trials are complete with a finite
    value, all but the history while every parameter has kept one value. ``sign`` is 1 where lower values are better, else -1.
    They are ours because optuna's own go through pyplot, change its global style, and are illegible from about five
    parameters on.
    """
    trials = [trial for trial in every_trial if trial.value is not None and math.isfinite(trial.value)]
    if len(trials) < 2:
        return {}
    trials.sort(key=lambda t: (-sign * t.values[0], -t.number))  # the best last: drawn on top
    values = np.array([t.values[0] for t in trials])
    log = spans_decades(values)
    title = f"{objective} of {len(trials)} trials; the best, in orange: {values[-1]:.4g} in trial {trials[-1].number}"
    figures = {"history": _history(every_trial, trials, objective, log, title)}
    scales = [scale for name in sorted({n for t in trials for n in t.params}) if (scale := _scale(name, trials))]
    if scales:
        figures["slices"] = _slices(trials, scales, objective, log, title)
        last = _number_scale(objective, values, values.min(), values.max(), log)
        figures["parallel"] = _parallel([*scales, last], title)
        why = f"what {objective} depends on, from {len(trials)} trials"
        if (importance := _importance(shares(), [scale.name for scale in scales], why)) is not None:
            figures["importance"] = importance
    return figures


class _Scale(NamedTuple):
    """A parameter or the objective, its range laid onto [0, 1]."""

    name: str
    places: NDArray[np.float64]  # (trials,), NaN where a trial has no such parameter
    ticks: Sequence[float]
    labels: Sequence[str]


def _scale(name: str, trials: Sequence[Trial]) -> _Scale | None:
    """None for a parameter that has had one value only."""
    if len({repr(t.params[name]) for t in trials if name in t.params}) < 2:
        return None
    parameters = [t.space[name] for t in trials if name in t.params]
    if choices := parameters[0].choices:
        ticks = np.linspace(0, 1, len(choices)).tolist()
        place = {repr(choice): tick for choice, tick in zip(choices, ticks, strict=True)}
        places = np.array([place.get(repr(t.params.get(name, ...)), np.nan) for t in trials])
        return _Scale(name, places, ticks, [short(str(choice), 12) for choice in choices])
    low, high = min(p.low for p in parameters), max(p.high for p in parameters)  # a trial may have its own range
    values = np.array([t.params.get(name, np.nan) for t in trials], float)
    return _number_scale(name, values, low, high, parameters[0].log)


def _number_scale(name: str, values: NDArray[np.float64], low: float, high: float, log: bool) -> _Scale:
    """Ticks are both ends and a round number near the middle."""
    lay: Callable[[Any], Any] = np.log if log else np.asarray
    middle = float(f"{math.sqrt(low * high) if log else (low + high) / 2:.2g}")
    ticks = {low, round(middle) if isinstance(low, int) else middle, high}
    at = [tick for tick in sorted(ticks) if low <= tick <= high]
    places, ends = ((lay(x) - lay(low)) / ((lay(high) - lay(low)) or 1.0) for x in (values, at))
    return _Scale(name, places, ends, [f"{tick:.5g}" for tick in at])


def _history(every_trial: Sequence[Trial], trials: list[Trial], objective: str, log: bool, title: str) -> Figure:
    figure = blank(7.5, 4, title)
    axes = figure.add_subplot(xlabel="trial")
    numbers, values = np.array(sorted((t.number, t.values[0]) for t in trials)).T
    better = np.minimum if trials[-1].values[0] <= trials[0].values[0] else np.maximum
    axes.step(numbers, better.accumulate(values), where="post", color=BEST, label="best so far")
    axes.scatter(numbers, values, color=LINES[0], zorder=3, label="complete")
    foot: dict[str, Any] = {"color": "0.4", "transform": axes.get_xaxis_transform()}
    for state, name, marker in (("pruned", "pruned", "x"), ("fail", "failed", "+")):
        if lost := [trial.number for trial in every_trial if trial.state == state]:
            # At the foot of the axes: their values, if any, stand for less training.
            axes.scatter(lost, [0.03] * len(lost), marker=marker, label=f"{name} ({len(lost)})", **foot)
    last = max(trial.number for trial in every_trial)
    axes.set_xlim(-0.03 * last - 0.3, 1.03 * last + 0.3)  # markers at the foot do not count towards the limits
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    value_axis(figure, axes, objective, log)
    figure.legend(loc="outside right center", fontsize=9)
    return figure


def _slices(trials: list[Trial], scales: list[_Scale], objective: str, log: bool, title: str) -> Figure:
    rows, columns = math.ceil(len(scales) / 3), min(3, len(scales))
    figure = blank(max(6.5, 2.2 * columns + 1), 2.5 * rows + 0.6, title)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    values, numbers = [t.values[0] for t in trials], [t.number for t in trials]
    for axes, scale in zip(panels.flat[: len(scales)], scales, strict=True):
        points = axes.scatter(scale.places, values, c=numbers, cmap="viridis", s=28)
        axes.scatter(scale.places[-1:], values[-1:], s=110, facecolors="none", edgecolors=BEST, linewidths=2)
        levels = min(4, 1 + sum(map(len, scale.labels)) // 22)  # crowded labels take turns on several lines
        axes.set_xticks(scale.ticks, ["\n" * (i % levels) + label for i, label in enumerate(scale.labels)], fontsize=8)
        axes.set(xlim=(-0.08, 1.08), xlabel=fold(scale.name, 22))
        value_axis(figure, axes, objective, log)
    for axes in panels.flat[len(scales) :]:
        axes.set_axis_off()
    figure.colorbar(points, ax=panels, label="trial", fraction=0.03, pad=0.02, ticks=MaxNLocator(6, integer=True))
    return figure


def _parallel(scales: list[_Scale], title: str) -> Figure:
    """One line a trial across all parameters to the objective, the last scale: the better, the darker."""
    figure, absent = blank(max(6.5, 0.94 * len(scales)), 5, title), -0.15
    axes = figure.add_subplot(xlim=(-0.1, len(scales) - 0.4), ylim=(-0.2, 1.05), yticks=[])
    lines = np.array([np.where(np.isnan(scale.places), absent, scale.places) for scale in scales]).T
    for line in lines:
        color = matplotlib.colormaps["viridis"](0.95 * abs(line[-1] - lines[-1, -1]))
        axes.plot(line, color=color, linewidth=1.3, alpha=0.85)
    axes.plot(lines[-1], color=BEST, linewidth=3)
    box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1}
    for x, scale in enumerate(scales):
        axes.axvline(x, color="0.3", linewidth=0.8)
        missing = [(absent, "absent")] if np.isnan(scale.places).any() else []
        for y, label in [*missing, *zip(scale.ticks, scale.labels, strict=True)]:
            axes.text(x + 0.04, y, label, va="center", fontsize=8, bbox=box, zorder=5)
    axes.set_xticks(range(len(scales)), [fold(scale.name, 14) for scale in scales], fontsize=9)
    axes.spines[:].set_visible(False)
    return figure


def _importance(assessed: Mapping[str, float], names: list[str], title: str) -> Figure | None:
    """Bars by fANOVA; None unless two parameters can be compared. Conditional ones are not, and the figure says so."""
    shares = {name: share for name, share in reversed(list(assessed.items())) if name in names}
    if len(shares) < 2:
        return None
    left_out = ", ".join(name for name in names if name not in shares)
    note = fold(f"not assessed, absent from some trials: {left_out}", 75) if left_out else ""
    labels = [fold(name, 30) for name in shares]
    lines = len(shares) * max(1 + label.count("\n") for label in labels) + note.count("\n")
    figure = blank(7, 1.6 + 0.12 * len(shares) + 0.2 * lines, title)
    axes = figure.add_subplot(xlabel=f"share of the variance explained (fANOVA)\n{note}", xmargin=0.12)
    bars = axes.barh(labels, list(shares.values()), color=LINES[0])
    axes.bar_label(bars, [f"{s:.2f}" if s >= 0.01 else "<0.01" for s in shares.values()], padding=3, fontsize=9)
    return figure
