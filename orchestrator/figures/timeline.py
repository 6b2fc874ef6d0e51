"""Figures of reports: what became of trials over time, and two sweeps side by side."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from orchestrator.analysis.occupancy import Clock, Span
from orchestrator.figures.canvas import BEST, LINES, blank, time_unit, value_axis
from orchestrator.figures.subject import Subject
from orchestrator.search.trials import Trial

# Told apart by colour and by shape: for paper without colours, and for eyes that see them otherwise.
OUTCOMES = {
    "complete": (LINES[0], "o"),
    "pruned": (LINES[4], "x"),
    "diverged": (LINES[3], "^"),
    "out_of_memory": (LINES[6], "s"),
    "failed": (LINES[1], "D"),
}


def spans(trials: Iterable[Trial]) -> list[Span]:
    """When finished trials ran, by a clock that starts at 0 and stands still while none of them runs."""
    finished = [
        Span(trial.number, trial.began.timestamp(), trial.ended.timestamp(), trial.outcome)
        for trial in trials
        if trial.finished and trial.began and trial.ended
    ]
    clock = Clock((span.began, span.ended) for span in finished)
    return [span._replace(began=clock(span.began), ended=clock(span.ended)) for span in finished]


def of_sweep(subject: Subject) -> Figure | None:
    """``timeline`` of a sweep's finished trials."""
    return timeline(subject.book.finished())


def timeline(trials: Sequence[Trial]) -> Figure | None:
    """A line a trial from its beginning to its end, whose mark says how it ended; None where none is finished."""
    lines = spans(trials)
    if not lines:
        return None
    longest = max(line.ended for line in lines)
    unit, name = time_unit(longest)
    title = f"what became of {len(lines)} trial{'s' if len(lines) != 1 else ''}"
    figure = blank(7.5, min(7.0, 2.2 + 0.045 * len(lines)), title)
    axes = figure.add_subplot(xlabel=f"{name} during which trials ran, breaks left out", ylabel="trial")
    for outcome, (color, marker) in OUTCOMES.items():
        group = [line for line in lines if line.outcome == outcome]
        if group:
            numbers = [line.number for line in group]
            ends = [line.ended / unit for line in group]
            label = f"{outcome.replace('_', ' ')} ({len(group)})"
            axes.hlines(numbers, [line.began / unit for line in group], ends, color=color, lw=1)
            axes.scatter(ends, numbers, s=22, color=color, marker=marker, zorder=3, label=label)
    axes.set_ylim(min(line.number for line in lines) - 0.7, max(line.number for line in lines) + 0.7)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=9)
    return figure


def side_by_side(sweeps: Mapping[str, Sequence[tuple[int, float]]], objective: str, sign: int, log: bool) -> Figure:
    """Left: the best value so far of each sweep by trial. Right: the values of all its completed trials."""
    figure = blank(8.5, 4, f"{objective}, {'lower' if sign > 0 else 'higher'} is better")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    left.set_xlabel("trial")
    better = np.minimum if sign > 0 else np.maximum
    for i, (name, trials) in enumerate(sweeps.items()):
        color, style, marker = (LINES[0], LINES[2])[i], ("-", "--")[i], ("o", "s")[i]
        numbers, values = [number for number, _ in trials], [value for _, value in trials]
        if not trials:
            continue
        left.step(numbers, better.accumulate(values), style, where="post", color=color, label=name)
        spread = np.random.default_rng(0).uniform(-0.18, 0.18, len(values))
        right.plot(i + spread, values, marker, color=color, alpha=0.5, markersize=4, markeredgewidth=0)
        right.hlines([float(np.median(values))], i - 0.3, i + 0.3, color="k", lw=1.2)
        right.hlines([min(values) if sign > 0 else max(values)], i - 0.3, i + 0.3, color=BEST, lw=2)
    right.set_xticks(range(len(sweeps)), [chr(ord("A") + i) for i in range(len(sweeps))])
    right.set_xlim(-0.6, len(sweeps) - 0.4)
    right.set_xlabel("completed trials;\nblack: their median, orange: the best")
    right.grid(alpha=0.3)
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    value_axis(figure, left, objective, log)
    figure.legend(loc="outside lower center", fontsize=9)
    return figure
