"""The arms of a comparison in the tracker: a record each, between the sweep's and its trials', and the verdict."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.delivery.delivery import deliver_now
from orchestrator.delivery.entries import Status
from orchestrator.delivery.outbox import Outbox
from orchestrator.delivery.store import Store
from orchestrator.layout import SAMPLES, arm_folder, trial_folder
from orchestrator.search.book import Book
from orchestrator.search.spec import Spec
from orchestrator.tracking import descriptions

if TYPE_CHECKING:
    from orchestrator.analysis.comparison import Result
    from orchestrator.tracking.mlflow_store import MlflowStore


def folder_of(spec: Spec, arm: int) -> Path:
    """Where an arm's outbox is."""
    return arm_folder(spec.folder, arm)


def key(spec: Spec, arm: int) -> str:
    """The key of an arm's record, its own for ever."""
    return f"{spec.id}/arm-{arm}"


def keys(spec: Spec) -> set[str]:
    """The keys of all its arms' records."""
    return {key(spec, i) for i in range(len(spec.comparison.arms))} if spec.comparison else set()


def begin(book: Book, store: Store) -> None:
    """Begin the arms' records, or open them again: now, for trials are recorded below them."""
    spec = book.spec
    if spec.comparison is None:
        return
    arms = []
    for i, arm in enumerate(spec.comparison.arms):
        outbox = Outbox(folder_of(spec, i))
        tags = {"sweep": spec.name, "study": spec.study, "data": spec.data, "arm": str(i), "outcome": "running"}
        outbox.begin(key(spec, i), arm.name, arm.settings, tags, spec.run, arm.run or None)
        outbox.close()
        arms.append(arm.model_copy(update={"run": deliver_now(folder_of(spec, i), store, spec.tracking_uri)}))
    book.update(comparison=spec.comparison.model_copy(update={"arms": arms}))


def end(book: Book, status: Status, outcome: str) -> Iterator[Path]:
    """Close the arms' records; yields the folders whose outboxes are to be delivered."""
    compared = book.spec.comparison
    for i in range(len(compared.arms) if compared else 0):
        outbox = Outbox(folder_of(book.spec, i))
        outbox.end(status, {"outcome": outcome})
        yield folder_of(book.spec, i)


def report(book: Book, store: "MlflowStore", remark: Callable[[str], object]) -> "Result":
    """Put the verdict into the records of the sweep and its arms; returns what the comparison says.

    A picture that cannot be drawn is left out, and ``remark`` hears why in a sentence.
    """
    from orchestrator.analysis import comparison
    from orchestrator.figures import canvas, catalogue
    from orchestrator.figures.subject import Subject

    spec = book.spec
    assert spec.comparison is not None
    trials = comparison.compared(book, store)
    result = comparison.result(spec.comparison, trials, *spec.objectives[0])
    verdict = comparison.verdict(result)
    outbox = Outbox(Path(spec.folder))
    outbox.select(spec.run)
    outbox.note(f"{verdict}\n\n{comparison.markdown(result)}\n\n{descriptions.sweep(book, '')}")
    outbox.content("comparison.json", json.dumps(comparison.plain(result), indent=2, allow_nan=False).encode())
    for name, picture in catalogue.pictures(Subject(book, (result, trials)), remark, ["comparison"]).items():
        outbox.content(f"figures/{name}.png", picture)
    completed = [entry.trial for entry in trials if entry.trial.outcome == "complete"]
    first = {trial.arm: trial.number for trial in reversed(completed)}
    shown = (
        (arm.name, trial_folder(spec.folder, first[i]) / SAMPLES)
        for i, arm in enumerate(spec.comparison.arms)
        if i in first
    )
    samples = catalogue.attempt("the page of samples", lambda: canvas.sheet_of_files(shown), remark)
    if samples:
        outbox.content("figures/samples.png", samples)
    outbox.end(None, {})
    deliver_now(Path(spec.folder), store, spec.tracking_uri)
    for i, (arm, arm_result) in enumerate(zip(spec.comparison.arms, result.arms, strict=True)):
        numbers = {"completed": arm_result.completed.mean}
        for name, value in arm_result.quality.items():
            numbers |= {f"mean/{name}": value.mean}
            numbers |= {f"low/{name}": value.low, f"high/{name}": value.high} if value.n > 1 else {}
        outbox = Outbox(folder_of(spec, i))
        outbox.select(arm.run)
        outbox.numbers(arm_result.trials, numbers)
        outbox.end(None, {"dropped": arm_result.dropped})
        deliver_now(folder_of(spec, i), store, spec.tracking_uri)
    return result
