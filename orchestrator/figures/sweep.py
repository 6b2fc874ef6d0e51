"""A sweep as figures: its history, what the objective depends on, and slices through all trials."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from orchestrator.analysis.scale import spans_decades
from orchestrator.figures.canvas import BEST, LINES, blank, fold, short, value_axis
from orchestrator.search.trials import Trial

Shares = Callable[[], Mapping[str, float]]  # of the objective's variance, by parameter; see importance.shares


class _Scale(NamedTuple):
    """A parameter or the objective, its range laid onto [0, 1]."""

    name: str
    places: NDArray[np.float64]  # (trials,), NaN where a trial has no such parameter
    ticks: Sequence[float]
    labels: Sequence[str]


class Search:
    """The completed trials of a search with a finite value, as its figures show them: the best last, so drawn on top.

    ``sign`` is 1 where lower values of the ``objective`` are better, else -1. The figures are ours because optuna's own go
    through pyplot, change its global style, and are illegible from about five parameters on.
    """

    def __init__(self, trials: Sequence[Trial], objective: str, sign: int, shares: Shares) -> None:
        self.every_trial, self.objective, self.shares = trials, objective, shares
        finite = [trial for trial in trials if trial.value is not None and math.isfinite(trial.value)]
        self.trials = sorted(finite, key=lambda trial: (-sign * trial.values[0], -trial.number))
        self.values = np.array([trial.values[0] for trial in self.trials])
        self.log = spans_decades(self.values)
        names = sorted({name for trial in self.trials for name in trial.params})
        self.scales = [scale for name in names if (scale := _scale(name, self.trials))]

    @property
    def drawable(self) -> bool:
        """Whether two trials can be put beside each other."""
        return len(self.trials) >= 2

    @property
    def title(self) -> str:
        """Of the figures that show every trial."""
        best = f"the best, in orange: {self.values[-1]:.4g} in trial {self.trials[-1].number}"
        return f"{self.objective} of {len(self.trials)} trials; {best}"


class Searched(Protocol):
    """What has a search to be drawn: a Subject."""

    @property
    def search(self) -> Search: ...


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


def history(subject: Searched) -> Figure | None:
    """Every trial's value by its number, and the best so far; None below two completed trials."""
    search = subject.search
    if not search.drawable:
        return None
    figure = blank(7.5, 4, search.title)
    axes = figure.add_subplot(xlabel="trial")
    numbers, values = np.array(sorted((trial.number, trial.values[0]) for trial in search.trials)).T
    better = np.minimum if search.values[-1] <= search.values[0] else np.maximum
    axes.step(numbers, better.accumulate(values), where="post", color=BEST, label="best so far")
    axes.scatter(numbers, values, color=LINES[0], zorder=3, label="complete")
    foot: dict[str, Any] = {"color": "0.4", "transform": axes.get_xaxis_transform()}
    for state, name, marker in (("pruned", "pruned", "x"), ("fail", "failed", "+")):
        if lost := [trial.number for trial in search.every_trial if trial.state == state]:
            # At the foot of the axes: their values, if any, stand for less training.
            axes.scatter(lost, [0.03] * len(lost), marker=marker, label=f"{name} ({len(lost)})", **foot)
    last = max(trial.number for trial in search.every_trial)
    axes.set_xlim(-0.03 * last - 0.3, 1.03 * last + 0.3)  # markers at the foot do not count towards the limits
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    value_axis(figure, axes, search.objective, search.log)
    figure.legend(loc="outside right center", fontsize=9)
    return figure


def slices(subject: Searched) -> Figure | None:
    """Every trial by each of its parameters; None while every parameter has kept one value."""
    search = subject.search
    scales = search.scales
    if not search.drawable or not scales:
        return None
    rows, columns = math.ceil(len(scales) / 3), min(3, len(scales))
    figure = blank(max(6.5, 2.2 * columns + 1), 2.5 * rows + 0.6, search.title)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    values, numbers = search.values, [trial.number for trial in search.trials]
    for axes, scale in zip(panels.flat[: len(scales)], scales, strict=True):
        points = axes.scatter(scale.places, values, c=numbers, cmap="viridis", s=28)
        axes.scatter(scale.places[-1:], values[-1:], s=110, facecolors="none", edgecolors=BEST, linewidths=2)
        levels = min(4, 1 + sum(map(len, scale.labels)) // 22)  # crowded labels take turns on several lines
        axes.set_xticks(scale.ticks, ["\n" * (i % levels) + label for i, label in enumerate(scale.labels)], fontsize=8)
        axes.set(xlim=(-0.08, 1.08), xlabel=fold(scale.name, 22))
        value_axis(figure, axes, search.objective, search.log)
    for axes in panels.flat[len(scales) :]:
        axes.set_axis_off()
    figure.colorbar(points, ax=panels, label="trial", fraction=0.03, pad=0.02, ticks=MaxNLocator(6, integer=True))
    return figure


def parallel(subject: Searched) -> Figure | None:
    """A line a trial across all parameters to the objective: the better, the darker; None as for ``slices``."""
    search = subject.search
    if not search.drawable or not search.scales:
        return None
    values = search.values
    scales = [*search.scales, _number_scale(search.objective, values, values.min(), values.max(), search.log)]
    figure, absent = blank(max(6.5, 0.94 * len(scales)), 5, search.title), -0.15
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


def importance(subject: Searched) -> Figure | None:
    """Bars by fANOVA; None unless two parameters can be compared. Conditional ones are not, and the figure says so."""
    search = subject.search
    if not search.drawable or not search.scales:
        return None
    names = [scale.name for scale in search.scales]
    title = f"what {search.objective} depends on, from {len(search.trials)} trials"
    shares = {name: share for name, share in reversed(list(search.shares().items())) if name in names}
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
