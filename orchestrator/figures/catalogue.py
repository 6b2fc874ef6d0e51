"""All figures of a sweep: the name of each, how it is drawn, and its caption. A new figure is one file and one line here.

MLflow's pages, the report, ``Sweep.figure`` and docs/reports.md show what stands here.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from orchestrator.analysis import importance as analysis
from orchestrator.analysis.comparison import ComparedTrial, Result
from orchestrator.figures import comparison, sweep, timeline, tradeoff
from orchestrator.figures.canvas import Drawing
from orchestrator.search.book import Book
from studies.parts.study import StudyError


@dataclass
class Subject:
    """What the figures of a sweep are drawn from. ``compared`` is what a comparison says, where it has been worked out."""

    book: Book
    compared: tuple[Result, Sequence[ComparedTrial]] | None = None

    @cached_property
    def shares(self) -> dict[str, float]:
        """See importance.shares: it is worked out once."""
        return analysis.shares(self.book.optuna_study)

    @cached_property
    def search(self) -> sweep.Search:
        """The trials as figures of a search show them, by the first objective."""
        spec = self.book.spec
        return sweep.Search(self.book.trials(), spec.objectives[0][0], spec.signs[0], lambda: self.shares)


class SweepFigure(NamedTuple):
    """A figure of a sweep. ``draw`` returns None where the sweep has no such figure, or too few trials for it."""

    draw: Callable[[Subject], Drawing | None]
    applies: str  # which sweeps have it
    caption: str


def _comparison(subject: Subject) -> Drawing | None:
    compared = subject.book.spec.comparison
    if compared is None or subject.compared is None or subject.compared[0].best is None:
        return None
    return comparison.bands(subject.compared[0], compared, subject.compared[1])


def _trade_off(subject: Subject) -> Drawing | None:
    spec = subject.book.spec
    if len(spec.objectives) != 2:
        return None
    keys = (spec.objectives[0][0], spec.objectives[1][0])
    return tradeoff.trade_off(subject.book.trials("complete"), keys, (spec.signs[0], spec.signs[1]))


def _heat_map(subject: Subject) -> Drawing | None:
    spec = subject.book.spec
    try:
        settings = subject.book.study.heat_map
    except StudyError:  # its file is gone
        return None
    if settings is None:
        return None
    return tradeoff.heat_map(subject.book.trials("complete"), spec.objectives[0][0], spec.signs[0], settings)


FIGURES = {
    "comparison": SweepFigure(
        _comparison, "comparisons", "Means over seeds with their 95 % intervals, and every trial's end."
    ),
    "history": SweepFigure(
        lambda subject: sweep.history(subject.search),
        "all, from two completed trials on",
        "Every trial's value by its number, and the best so far. Marks at the foot are of trials that were ended early.",
    ),
    "slices": SweepFigure(
        lambda subject: sweep.slices(subject.search),
        "all whose parameters have had several values",
        "Every completed trial by each of its parameters: later trials are brighter, the best is ringed.",
    ),
    "parallel": SweepFigure(
        lambda subject: sweep.parallel(subject.search),
        "all whose parameters have had several values",
        "A line a trial across its parameters to the objective at the right: the better, the darker.",
    ),
    "importance": SweepFigure(
        lambda subject: sweep.importance(subject.search),
        "all with two parameters that can be compared",
        "Which parameters explain the differences between completed trials.",
    ),
    "trade_off": SweepFigure(
        _trade_off,
        "two objectives",
        "Each completed trial by its two objectives; the line joins the best compromises.",
    ),
    "heat_map": SweepFigure(
        _heat_map,
        "studies that name two settings for it",
        "Two settings together: the best value in each cell, white where no trial was. Brighter is better.",
    ),
    "timeline": SweepFigure(
        lambda subject: timeline.timeline(subject.book.finished()),
        "all, from one finished trial on",
        "A line a trial from its beginning to its end; the mark says how it ended.",
    ),
}


def draw(subject: Subject, names: Collection[str] = FIGURES.keys()) -> dict[str, Drawing]:
    """The figures that the sweep has, of those with these ``names``, in the order of the catalogue."""
    drawings = {name: figure.draw(subject) for name, figure in FIGURES.items() if name in names}
    return {name: drawing for name, drawing in drawings.items() if drawing is not None}
