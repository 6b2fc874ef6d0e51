"""The last act of a supervisor: what is made of a sweep's trials when they have ended.

The order is: figures and records on disk, records in MLflow, the best trial's mark, the champion or the verdict. That all of it
is done is stored last. Every step may be done again, so whoever comes later does all from the first that may be missing.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from orchestrator.analysis import judges
from orchestrator.delivery import outbox as outboxes
from orchestrator.delivery.courier import Courier
from orchestrator.delivery.delivery import Delivery
from orchestrator.delivery.entries import Status
from orchestrator.delivery.outbox import Outbox
from orchestrator.files import CannotWrite
from orchestrator.layout import OUTBOX, REFUSED
from orchestrator.search import completion
from orchestrator.search.book import Book
from orchestrator.search.home import Moved
from orchestrator.stores.optuna_storage import UNWRITABLE
from orchestrator.supervisor import queue
from orchestrator.supervisor.steering import STOPPED
from orchestrator.text import first_line
from orchestrator.tracking import comparison_runs, connection, publish, sweep_record

if TYPE_CHECKING:
    from orchestrator.analysis.comparison import Result
    from orchestrator.tracking.mlflow_store import MlflowStore

T = TypeVar("T")
ORDERLY = ("", "timeout", STOPPED)  # endings that somebody wanted
DELIVERY_SECONDS = 10.0  # how long a tracker that is out of reach is waited for at the end


class Closing:
    """What is made of ended trials, as far as it has come."""

    def __init__(self, book: Book, store: "MlflowStore", courier: Courier) -> None:
        self.book, self.store, self.courier = book, store, courier
        self.delivered = False  # whether all records are in MLflow
        self.refused: dict[str, int] = {}  # entries that the tracker refused, by reason
        self.trouble = ""  # why something is left to be done with the records that are there
        self.remarks: list[str] = []  # what cannot be made, a sentence each
        self.champion = ""  # its address
        self.verdict: Result | None = None  # of a comparison

    def record(self, outbox: Outbox, reason: str) -> None:
        """Draw the figures and close the records of the sweep and its arms, on disk; see Supervisor.drive for ``reason``."""
        self.store.guard()
        pictures: list[str] = []
        if self.book.finished() and reason in ORDERLY:
            pictures = publish.finish(self.book, outbox, self.remarks.append)
        self.store.guard()  # what was drawn lacks pictures of a folder that was moved meanwhile: it is drawn again later
        status: Status = "FINISHED" if reason in ("", "timeout") else "KILLED"
        for folder in sweep_record.end(self.book, outbox, status, reason, pictures):
            self.courier.serve(folder)
        self.courier.serve(Path(self.book.spec.folder))

    def give_up(self, outbox: Outbox, error: BaseException) -> None:
        """Close the records although the session failed, unless the disk or a moved folder is what ended it."""
        if isinstance(error, Moved):
            return
        interrupted = isinstance(error, KeyboardInterrupt)
        status: Status = "KILLED" if interrupted else "FAILED"
        outcome = "interrupted" if interrupted else "failed"
        with suppress(CannotWrite):
            for folder in sweep_record.end(self.book, outbox, status, outcome, ()):
                self.courier.serve(folder)

    def deliver(self, seconds: float) -> None:
        """Deliver the records, and end the courier; a tracker that is out of reach is waited for for so long."""
        self.delivered = self.courier.drain(seconds)
        self.courier.close()
        self.refused |= self.courier.refused

    def publish(self) -> None:
        """Make what is made of records that are in MLflow; where that is all, and no trial is left, the sweep is closed."""
        self.store.guard()
        try:
            publish.mark(self.book, self.store)
            tags = {run.run: run.tags for run in self.store.records(self.book.spec.id)}
            if split := judges.disagreement(self.book, tags):
                self.remarks.append(split)
            if self.book.spec.comparison is None:
                weights = f"its weights are kept in {self.book.spec.folder}"
                self.champion = self._attempt(
                    lambda: publish.champion(self.book, self.store),
                    f"the best network could not be registered as a model ({{}}); {weights}",
                    "",
                )
            elif self.book.finished():
                self.verdict = self._attempt(
                    lambda: comparison_runs.report(self.book, self.store, self.remarks.append),
                    "the verdict of the comparison could not be made ({})",
                    None,
                )
        except connection.unreachable() as error:
            self.trouble = first_line(error)
            return
        self.store.guard()
        if completion.trials_ended(self.book):
            completion.close(self.book)

    def _attempt(self, make: Callable[[], T], sentence: str, otherwise: T) -> T:
        """What is made; ``otherwise``, with a remark, where it cannot be made at all. Raises what means: later."""
        try:
            return make()
        except Exception as error:  # networks, files and values may be of any kind
            if isinstance(error, (CannotWrite, *UNWRITABLE, *connection.unreachable())):
                raise
            self.remarks.append(sentence.format(first_line(error)))
            return otherwise


def complete(book: Book, store: "MlflowStore", parent_run: str = "") -> Closing:
    """Do what is missing of a sweep whose trials have ended. See sweep_record.begin for ``parent_run``."""
    completion.reopen(book)
    queue.clear_ended(book)
    closing = Closing(book, store, serve(book, store))
    closing.deliver(DELIVERY_SECONDS)
    if not closing.delivered:
        return closing
    if sweep_record.status(book, store) != ("FINISHED", sweep_record.COMPLETE):
        outbox = sweep_record.begin(book, store, parent_run)
        closing.courier = serve(book, store)
        try:
            closing.record(outbox, "")
        except BaseException as error:
            closing.give_up(outbox, error)
            raise
        finally:
            closing.deliver(DELIVERY_SECONDS)
    if closing.delivered:
        closing.publish()
    return closing


def serve(book: Book, store: "MlflowStore") -> Courier:
    """A courier for all outboxes of a sweep that hold something, its own among them."""
    courier, folder = Courier(store), book.spec.folder
    for outbox in {path.parent for path in Path(folder).glob(f"**/{OUTBOX}/*.jsonl")} | {Path(folder, OUTBOX)}:
        courier.serve(outbox.parent)
    return courier


def deliver_refused(book: Book, store: "MlflowStore") -> int:
    """Deliver once more what the tracker refused of the outboxes of a sweep; returns how many entries it took now."""
    return sum(Delivery(folder, store).deliver_refused() for folder in _with_refused(book))


def refused(book: Book) -> dict[str, int]:
    """How many entries of the sweep's outboxes wait because the tracker has refused them, by the last reason of each outbox."""
    counts = Counter[str]()
    for folder in _with_refused(book):
        if count := len(outboxes.refused(folder / OUTBOX)):
            counts[outboxes.sent(folder / OUTBOX).reason] += count
    return dict(counts)


def _with_refused(book: Book) -> list[Path]:
    return sorted(path.parent.parent for path in Path(book.spec.folder).glob(f"**/{OUTBOX}/{REFUSED}"))
