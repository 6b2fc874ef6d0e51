"""What a report says of a comparison: the verdict, the arms, the tests."""

from orchestrator.analysis import comparison
from orchestrator.analysis.comparison import ComparedTrial, Result
from orchestrator.figures import comparison as figures_comparison
from orchestrator.figures.canvas import Drawing
from orchestrator.reports.html import Part, Table, figure, picture
from orchestrator.reports.sweep_data import SweepData
from orchestrator.search.factorial import Comparison


def bands(found: SweepData) -> Drawing | None:
    """How each arm got on, and where its trials ended; None where none was completed."""
    return _bands(*_verdict(found))


def _bands(said: Result, trials: list[ComparedTrial], compared: Comparison) -> Drawing | None:
    return figures_comparison.bands(said, compared, trials) if said.best is not None else None


def _verdict(found: SweepData) -> tuple[Result, list[ComparedTrial], Comparison]:
    book, compared = found.book, found.book.spec.comparison
    assert compared is not None
    trials = found.ask(lambda store: comparison.compared(book, store)) or comparison.compared(book)
    return comparison.result(compared, trials, *book.spec.objectives[0]), trials, compared


def parts(found: SweepData) -> list[Part]:
    """The answer, and the arms' samples."""
    book = found.book
    said, trials, compared = _verdict(found)
    answer = Part("The answer", [comparison.paragraph(said)])
    if drawn := _bands(said, trials, compared):
        answer.figures.append(figure(drawn, "Means over seeds with their 95 % intervals, and every trial's end."))
    answer.tables.append(Table(*comparison.arms(said), "Means over completed trials, with 95 % intervals."))
    if said.contrasts:
        answer.tables.append(Table(*comparison.tests(said), "Paired tests."))
    beside = Part("Samples of the arms", ["The first completed trial of each, which have the same seed."])
    for i, arm in enumerate(compared.arms):
        first = next((trial for trial in book.finished() if trial.value is not None and trial.arm == i), None)
        if first is not None and (png := found.samples(first)):
            beside.samples.append(picture(png, f"{arm.name}: trial {first.number}"))
    return [answer, *([beside] if beside.samples else [])]
