"""What a report says of a comparison: the verdict, the arms, the tests."""

from orchestrator import comparison, figures_comparison
from orchestrator.comparison import Result
from orchestrator.contrasts import Played, words
from orchestrator.evidence import Evidence
from orchestrator.factorial import Comparison
from orchestrator.figures import Drawing
from orchestrator.page import Part, Table, figure, picture
from orchestrator.tables import interval


def bands(found: Evidence) -> Drawing | None:
    """How each arm got on, and where its trials ended; None where none was completed."""
    said, trials, compared = _verdict(found)
    return figures_comparison.bands(said, compared, trials) if said.best is not None else None


def _verdict(found: Evidence) -> tuple[Result, list[Played], Comparison]:
    book, compared = found.book, found.book.spec.comparison
    assert compared is not None
    trials = found.ask(lambda store: comparison.played(book, store)) or comparison.played(book)
    return comparison.result(compared, trials, *book.spec.objectives[0]), trials, compared


def parts(found: Evidence) -> list[Part]:
    """The answer, and the arms' samples."""
    book = found.book
    said, _, compared = _verdict(found)
    answer = Part("The answer", [comparison.paragraph(said)])
    if drawn := bands(found):
        answer.figures.append(figure(drawn, "Means over seeds with their 95 % intervals, and every trial's end."))
    keys = sorted({key for arm in said.arms for key in arm.quality}, key=lambda key: (key != said.objective, key))
    rows = [
        [
            arm.name,
            f"{round(arm.completed.mean * arm.trials)}/{arm.trials}",
            *(interval(arm.quality[key]) if key in arm.quality else "" for key in keys),
        ]
        for arm in said.arms
    ]
    answer.tables.append(Table(["arm", "completed", *keys], rows, "Means over completed trials, with 95 % intervals."))
    if said.contrasts:
        tested = [
            [
                f"{one.of}={one.a} against {one.of}={one.b}" if one.of else f"{one.a} against {one.b}",
                str(one.n),
                words(one),
            ]
            + [f"{p:.2g}" for p in (one.p, one.adjusted)]
            for one in said.contrasts
        ]
        answer.tables.append(
            Table(["test", "pairs", "effect (95 % interval)", "p", "p, corrected"], tested, "Paired tests.")
        )
    beside = Part("Samples of the arms", ["The first completed trial of each, which have the same seed."])
    for i, arm in enumerate(compared.arms):
        first = next((trial for trial in book.finished() if trial.values and compared.arm_of(trial.params) == i), None)
        if first is not None and (png := found.samples(first)):
            beside.samples.append(picture(png, f"{arm.name}: trial {first.number}"))
    return [answer, *([beside] if beside.samples else [])]
