"""What a report says of a comparison: the verdict, the arms, the tests."""

from typing import TYPE_CHECKING

from orchestrator.analysis import comparison
from orchestrator.analysis.comparison import ComparedTrial, Result
from orchestrator.reports.html import Part, Table, figure, picture
from orchestrator.reports.sweep_data import SweepData
from orchestrator.search.factorial import Comparison

if TYPE_CHECKING:
    from orchestrator.figures.canvas import Drawing


def drawing(data: SweepData) -> "Drawing | None":
    """How each arm got on, and where its trials ended; None where none was completed."""
    result, trials, _ = _result(data)
    return _drawing(data, result, trials)


def _drawing(data: SweepData, result: Result, trials: list[ComparedTrial]) -> "Drawing | None":
    from orchestrator.figures import catalogue
    from orchestrator.figures.subject import Subject

    return catalogue.draw(Subject(data.book, (result, trials)), ["comparison"]).get("comparison")


def _result(data: SweepData) -> tuple[Result, list[ComparedTrial], Comparison]:
    book, design = data.book, data.book.spec.comparison
    assert design is not None
    trials = data.ask(lambda reader: comparison.compared(book, reader)) or comparison.compared(book)
    return comparison.result(design, trials, *book.spec.objectives[0]), trials, design


def parts(data: SweepData) -> list[Part]:
    """The answer, and the arms' samples."""
    book = data.book
    result, trials, design = _result(data)
    answer = Part("The answer", [comparison.verdict(result)])
    if drawn := _drawing(data, result, trials):
        from orchestrator.figures import catalogue

        answer.figures.append(figure(drawn, catalogue.FIGURES["comparison"].caption))
    answer.tables.append(Table(*comparison.arms(result), "Means over completed trials, with 95 % intervals."))
    if result.contrasts:
        answer.tables.append(Table(*comparison.tests(result), "Paired tests."))
    arm_samples = Part("Samples of the arms", ["The first completed trial of each, which have the same seed."])
    for i, arm in enumerate(design.arms):
        first = next((trial for trial in book.finished() if trial.value is not None and trial.arm == i), None)
        if first is not None and (png := data.samples(first)):
            arm_samples.samples.append(picture(png, f"{arm.name}: trial {first.number}"))
    return [answer, *([arm_samples] if arm_samples.samples else [])]
