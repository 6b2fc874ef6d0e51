"""What a report says of a comparison: the verdict, the arms, the tests."""

from orchestrator.analysis import comparison
from orchestrator.analysis.comparison import ComparedTrial, Result
from orchestrator.figures import catalogue
from orchestrator.figures.canvas import Drawing
from orchestrator.figures.catalogue import Subject
from orchestrator.reports.html import Part, Table, figure, picture
from orchestrator.reports.sweep_data import SweepData
from orchestrator.search.factorial import Comparison


def drawing(found: SweepData) -> Drawing | None:
    """How each arm got on, and where its trials ended; None where none was completed."""
    said, trials, _ = _verdict(found)
    return _drawing(found, said, trials)


def _drawing(found: SweepData, said: Result, trials: list[ComparedTrial]) -> Drawing | None:
    return catalogue.draw(Subject(found.book, (said, trials)), ["comparison"]).get("comparison")


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
    if drawn := _drawing(found, said, trials):
        answer.figures.append(figure(drawn, catalogue.FIGURES["comparison"].caption))
    answer.tables.append(Table(*comparison.arms(said), "Means over completed trials, with 95 % intervals."))
    if said.contrasts:
        answer.tables.append(Table(*comparison.tests(said), "Paired tests."))
    beside = Part("Samples of the arms", ["The first completed trial of each, which have the same seed."])
    for i, arm in enumerate(compared.arms):
        first = next((trial for trial in book.finished() if trial.value is not None and trial.arm == i), None)
        if first is not None and (png := found.samples(first)):
            beside.samples.append(picture(png, f"{arm.name}: trial {first.number}"))
    return [answer, *([beside] if beside.samples else [])]
