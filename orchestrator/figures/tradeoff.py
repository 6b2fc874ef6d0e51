"""Sweeps with two objectives as pictures: the best compromises with their knee, and an objective over two settings."""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from orchestrator.analysis.pareto import front, knee
from orchestrator.analysis.scale import spans_decades
from orchestrator.figures.canvas import BEST, LINES, blank
from orchestrator.figures.subject import Subject
from orchestrator.search.trials import Trial
from studies.parts.study import StudyError

BINS = 6  # along each axis of a heat map


def of_sweep(subject: Subject) -> Figure | None:
    """``trade_off`` of a sweep with two objectives; None for others."""
    spec = subject.book.spec
    if len(spec.objectives) != 2:
        return None
    keys = (spec.objectives[0][0], spec.objectives[1][0])
    return trade_off(subject.completed, keys, (spec.signs[0], spec.signs[1]))


def heat_map_of_sweep(subject: Subject) -> Figure | None:
    """``heat_map`` of the settings that the study names; None where it names none, or its file is gone."""
    spec = subject.book.spec
    try:
        settings = subject.book.study.heat_map
    except StudyError:
        return None
    return settings and heat_map(subject.completed, spec.objectives[0][0], spec.signs[0], settings)


def trade_off(trials: Sequence[Trial], keys: tuple[str, str], signs: tuple[int, int]) -> Figure | None:
    """All complete trials by their two objectives, the best compromises joined, their knee marked; None below two trials."""
    points = [(trial.values[0], trial.values[1]) for trial in trials]
    if len(points) < 2:
        return None
    best = front(points, signs)
    at = knee([points[i] for i in best], signs)
    figure = blank(8, 5, f"{keys[0]} against {keys[1]}: {len(best)} of {len(points)} trials are beaten by none in both")
    axes = figure.add_subplot(xlabel=keys[1], ylabel=keys[0])
    axes.scatter([y for _, y in points], [x for x, _ in points], s=14, color="0.7", label="trials")
    line = [points[i] for i in best]
    axes.step([y for _, y in line], [x for x, _ in line], where="post", color=LINES[0], linewidth=1)
    axes.scatter([y for _, y in line], [x for x, _ in line], s=24, color=LINES[0], zorder=3, label="best compromises")
    if at is not None:
        value, cost = line[at]
        label = f"knee: trial {trials[best[at]].number}, {value:.4g} at {cost:.4g}"
        axes.plot([cost], [value], "*", color=BEST, markersize=16, zorder=4, label=label)
    for axis, values, scale in ((axes.xaxis, [y for _, y in points], "x"), (axes.yaxis, [x for x, _ in points], "y")):
        if spans_decades(values):
            getattr(axes, f"set_{scale}scale")("log")
            axis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
    return figure


def heat_map(trials: Sequence[Trial], key: str, sign: int, names: tuple[str, str, str | None]) -> Figure | None:
    """The best value in each cell of two numbers' ranges, a panel a choice, if any; cells without a trial are white.

    None where fewer than two trials have all of these parameters, or one of the numbers is none or has one value alone.
    """
    across, up, choice = names
    there = [trial for trial in trials if {name for name in names if name} <= trial.params.keys()]
    of_numbers = [
        {trial.params[name] for trial in there if trial.space[name].kind != "categorical"} for name in names[:2]
    ]
    if len(there) < 2 or min(map(len, of_numbers)) < 2:
        return None
    values = [trial.values[0] for trial in there]
    choices = [None] if choice is None else list(there[0].space[choice].choices)
    edges = {name: _edges(name, there) for name in (across, up)}
    title = f"best {key} in each cell of {across} × {up}" + (f", by {choice}" if choice else "")
    figure = blank(max(5.0, 2.2 + 2.6 * len(choices)), 4, title)
    panels = figure.subplots(1, len(choices), sharex=True, sharey=True, squeeze=False)[0]
    norm = (LogNorm if spans_decades(values) else Normalize)(min(values), max(values))
    colors = matplotlib.colormaps["viridis" if sign < 0 else "viridis_r"]
    for panel, option in zip(panels, choices, strict=True):
        cells = np.full((BINS, BINS), np.nan)
        for trial in there:
            if choice is None or trial.params[choice] == option:
                x, y = (_cell(trial.params[name], edges[name]) for name in (across, up))
                old = cells[y, x]
                cells[y, x] = trial.values[0] if math.isnan(old) or sign * trial.values[0] < sign * old else old
        image = panel.pcolormesh(edges[across], edges[up], cells, norm=norm, cmap=colors)
        for y, x in np.argwhere(np.isfinite(cells)):
            place = (_middle(edges[across], x, there, across), _middle(edges[up], y, there, up))
            dark = norm(cells[y, x]) > 0.55 if sign > 0 else norm(cells[y, x]) < 0.55
            panel.text(*place, f"{cells[y, x]:.3g}", ha="center", va="center", fontsize=7, color="w" if dark else "k")
        if choice is not None:
            panel.set_title(f"{choice}={option}", fontsize=9)
        panel.set_xlabel(across)
        for axis, name in (("x", across), ("y", up)):
            if there[0].space[name].log:
                getattr(panel, f"set_{axis}scale")("log")
                side = getattr(panel, f"{axis}axis")
                ticks = [edges[name][0], math.sqrt(edges[name][0] * edges[name][-1]), edges[name][-1]]
                side.set_ticks(ticks, [f"{tick:.3g}" for tick in ticks])
                side.set_minor_formatter(NullFormatter())
    panels[0].set_ylabel(up)
    figure.colorbar(image, ax=list(panels), fraction=0.04, pad=0.02, label=key)
    return figure


def _edges(name: str, trials: Sequence[Trial]) -> Any:
    parameter = trials[0].space[name]
    spaced = np.geomspace if parameter.log else np.linspace
    return spaced(parameter.low, parameter.high, BINS + 1)


def _cell(value: float, edges: Any) -> int:
    return int(np.clip(np.searchsorted(edges, value, side="right") - 1, 0, BINS - 1))


def _middle(edges: Any, i: int, trials: Sequence[Trial], name: str) -> float:
    low, high = edges[i], edges[i + 1]
    return float(math.sqrt(low * high) if trials[0].space[name].log else (low + high) / 2)
