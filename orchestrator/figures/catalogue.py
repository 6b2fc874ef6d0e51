"""All figures of a sweep: the name of each, how it is drawn, and its caption. A new figure is one file and one line here.

MLflow's pages, the report, ``Sweep.figure`` and docs/reports.md show what stands here.
"""

from collections.abc import Callable, Collection
from importlib import import_module
from typing import Literal, NamedTuple, TypeVar

from orchestrator.figures import canvas
from orchestrator.figures.canvas import Drawing
from orchestrator.figures.subject import Subject
from orchestrator.stores.optuna_storage import UNWRITABLE
from orchestrator.text import first_line

T = TypeVar("T")
ReportPart = Literal["answer", "search", "parameters", "endings"]


class SweepFigure(NamedTuple):
    """A figure of a sweep."""

    function: str  # "module:function" of this package: of a Subject, or None where the sweep has no such figure
    part: ReportPart  # of a report, where it is shown
    applies: str  # which sweeps have it
    caption: str

    def draw(self, subject: Subject) -> Drawing | None:
        """The figure; None where the sweep has none of this kind, or too few trials for it."""
        module, _, name = self.function.partition(":")
        drawing: Drawing | None = getattr(import_module(f"orchestrator.figures.{module}"), name)(subject)
        return drawing


FIGURES = {
    "comparison": SweepFigure(
        "comparison:of_sweep",
        "answer",
        "comparisons",
        "Means over seeds with their 95 % intervals, and every trial's end.",
    ),
    "history": SweepFigure(
        "sweep:history",
        "search",
        "all, from two completed trials on",
        "Every trial's value by its number, and the best so far. Marks at the foot are of trials that were ended early.",
    ),
    "trade_off": SweepFigure(
        "tradeoff:of_sweep",
        "search",
        "two objectives",
        "Each completed trial by its two objectives; the line joins the best compromises.",
    ),
    "heat_map": SweepFigure(
        "tradeoff:heat_map_of_sweep",
        "parameters",
        "studies that name two settings for it",
        "Two settings together: the best value in each cell, white where no trial was. Brighter is better.",
    ),
    "importance": SweepFigure(
        "sweep:importance",
        "parameters",
        "all with two parameters that can be compared",
        "Which parameters explain the differences between completed trials.",
    ),
    "slices": SweepFigure(
        "sweep:slices",
        "parameters",
        "all whose parameters have had several values",
        "Every completed trial by each of its parameters: later trials are brighter, the best is ringed.",
    ),
    "parallel": SweepFigure(
        "sweep:parallel",
        "parameters",
        "all whose parameters have had several values",
        "A line a trial across its parameters to the objective at the right: the better, the darker.",
    ),
    "timeline": SweepFigure(
        "timeline:of_sweep",
        "endings",
        "all, from one finished trial on",
        "A line a trial from its beginning to its end; the mark says how it ended.",
    ),
    "places": SweepFigure(
        "places:of_sweep",
        "endings",
        "all, from one trial on that was played",
        "A row a worker of each machine, GPU or processor, a bar a trial, with the share of time in which the place was busy.",
    ),
}


def draw(subject: Subject, names: Collection[str] = FIGURES.keys()) -> dict[str, Drawing]:
    """The figures that the sweep has, of those with these ``names``, in the order of the catalogue."""
    drawings = {name: figure.draw(subject) for name, figure in FIGURES.items() if name in names}
    return {name: drawing for name, drawing in drawings.items() if drawing is not None}


def pictures(
    subject: Subject, remark: Callable[[str], object], names: Collection[str] = FIGURES.keys()
) -> dict[str, bytes]:
    """The same as PNG. A figure that cannot be drawn is left out, and ``remark`` hears why in a sentence."""
    drawn: dict[str, bytes] = {}
    for name in FIGURES:

        def draw_one(name: str = name) -> dict[str, bytes]:
            return {key: canvas.png(drawing) for key, drawing in draw(subject, {name} & set(names)).items()}

        drawn |= attempt(f"the figure {name}", draw_one, remark) or {}
    return drawn


def attempt(what: str, draw_one: Callable[[], T], remark: Callable[[str], object]) -> T | None:
    """What ``draw_one`` returns. Where it cannot be drawn: None, and ``remark`` hears why in a sentence."""
    try:
        return draw_one()
    except UNWRITABLE:
        raise
    except Exception as error:  # values may be of any kind and files damaged, and everything else can be drawn
        remark(f"{what} could not be drawn ({first_line(error)})")
        return None
