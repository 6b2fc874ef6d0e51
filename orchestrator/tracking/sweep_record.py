"""What a supervisor writes into the record of the sweep itself: its beginning and its end."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.delivery.delivery import deliver_now
from orchestrator.delivery.entries import Numbers, Status
from orchestrator.delivery.outbox import Outbox
from orchestrator.layout import PARENT_RUN
from orchestrator.search.book import Book
from orchestrator.tracking import comparison_runs, descriptions, publish, saved_view
from orchestrator.tracking.stored_run import RunReader

if TYPE_CHECKING:
    from orchestrator.tracking.mlflow_store import MlflowStore

COMPLETE = "complete"  # the outcome of a sweep that has all of its trials
ENDED = ("FINISHED", "FAILED", "KILLED")  # the statuses of a run that is closed


def begin(book: Book, store: "MlflowStore", parent_run: str = "") -> Outbox:
    """Begin the record, or open it again: the run that the sweep has, the one that `mlflow run` made for it, or a new one.

    What is below it is begun too: the records of a comparison's arms.
    """
    spec, folder = book.spec, Path(book.spec.folder)
    tags = publish.tags(spec)
    if spec.run and parent_run and parent_run != spec.run:
        other = Outbox(folder / PARENT_RUN)  # the courier delivers it
        other.select(parent_run)
        other.note(f"Went on with the sweep `{spec.name}`, whose own run is `{spec.run}`.")
        other.end(None, tags)
    outbox = Outbox(folder)
    outbox.begin(
        spec.id, spec.name, publish.params(spec), {**tags, "outcome": "running"}, run=spec.run or parent_run or None
    )
    outbox.content("config.json", publish.settings(spec))
    outbox.note(descriptions.sweep(book, "Running."))
    run = deliver_now(folder, store, spec.tracking_uri)  # now, for trials are recorded below it
    book.update(run=run)
    store.follow(run)
    store.keep_view(spec.name, saved_view.text(book))
    comparison_runs.begin(book, store)
    return outbox


def end(book: Book, outbox: Outbox, status: Status, reason: str, pictures: Collection[str]) -> Iterator[Path]:
    """Close the record; yields the other folders whose outboxes are to be delivered.

    The records of arms are closed first: a sweep's run that is closed as complete has nothing open below it.
    """
    yield from comparison_runs.end(book, status, reason or COMPLETE)
    best = book.best()
    if best and not reason:  # whoever recorded the last trial may have been killed before this
        values = {f"best/{book.spec.objectives[0][0]}": best[0].values[0]}
        outbox.add(Numbers(step=len(book.finished()), values=values))
    outbox.note(descriptions.sweep(book, f"Ended early: {reason}." if reason else "", pictures))
    outbox.end(status, {"outcome": reason or COMPLETE})


def status(book: Book, store: RunReader) -> tuple[str, str]:
    """Status and outcome of the sweep's run, ("", "") where it is gone."""
    run = store.record(book.spec.run) if book.spec.run else None
    return ("", "") if run is None or run.deleted else (run.status, run.tags.get("outcome", ""))
