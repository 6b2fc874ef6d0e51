"""Sweeps of the toy study in the test's own process, with a tracker in memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.env import derive_seed
from orchestrator.delivery.courier import Courier
from orchestrator.delivery.memory import MemoryStore, Record
from orchestrator.delivery.outbox import Outbox
from orchestrator.launchers.inline import InlineLauncher
from orchestrator.launchers.protocol import Launcher
from orchestrator.messages import Task
from orchestrator.search import book as books
from orchestrator.search import home, new_sweep, plan, steer
from orchestrator.search.book import Book
from orchestrator.search.options import request
from orchestrator.stores import optuna_storage
from orchestrator.stores.optuna_storage import Storage
from orchestrator.supervisor.limits import Limits
from orchestrator.supervisor.status import SweepStatus
from orchestrator.supervisor.supervisor import Supervisor
from tests.support.paths import QUADRATIC
from tests.support.processes import LIMIT

PATIENT = Limits(checkpoint=1e9, silence=None)


def toy_task(folder: Path, **config: Any) -> Task:
    """A trial of the toy study in ``folder``/trial-0; ``config`` changes its settings."""
    (folder / "trial-0").mkdir(exist_ok=True)
    return Task(
        sweep="toy",
        study=QUADRATIC,
        trial=0,
        config={"x": 0.5, "mode": "good", "steps": 5, "seconds": 0.0, **config},
        data="digits",
        data_folder="data",
        cache_folder="cache",
        folder=str(folder / "trial-0"),
        seed=derive_seed(0, "trial", 0),
        device="cpu",
        threads=1,
        checkpoint_seconds=1e9,
    )


def stop_after(n: int) -> Callable[[], str]:
    """An interrupt that comes after it was asked for ``n`` times."""
    asked = iter(range(10**9))
    return lambda: "interrupted" if next(asked) >= n else ""


def stop_in(book: Book, trial: int) -> Callable[[], str]:
    """An interrupt that comes while the trial with this number runs."""
    return lambda: "interrupted" if any(running.number == trial for running in book.trials_running()) else ""


def resumed(storage: Storage, name: str, trials: int | None, accept_drift: bool = False) -> Book:
    """The sweep ``name`` with all that changes when it goes on, stored."""
    book = books.load(storage, name)
    book.update(**steer.resumed(book, trials, accept_drift))
    return book


class Bench:
    """A storage, a tracker in memory, and sweeps of the toy study on them."""

    def __init__(self) -> None:
        self.storage = optuna_storage.connect("sqlite:///sweeps.db")
        self.store = MemoryStore()
        self.statuses: list[SweepStatus] = []

    def book(self, **options: Any) -> Book:
        """The sweep that the options ask for: a new one, or the one that stands."""
        spec = plan.resolve(request(QUADRATIC, **{"name": "toy", "trials": 5, **options}), self.storage)
        return plan.settle(spec, self.storage) or new_sweep.create(self.storage, spec)

    @contextmanager
    def supervisor(
        self, book: Book, limits: Limits = PATIENT, launcher: Launcher | None = None
    ) -> Iterator[Supervisor]:
        """A supervisor of the sweep in this process, and of trials too without a ``launcher``; all is delivered in the end."""
        folder = Path(book.spec.folder)
        folder.mkdir(parents=True, exist_ok=True)
        home.mark(book.spec)
        outbox = Outbox(folder)
        outbox.begin(book.spec.id, book.spec.name, {}, {})
        courier = Courier(self.store)
        courier.serve(folder)
        try:
            yield Supervisor(book, launcher or InlineLauncher(), courier, outbox, limits)
        finally:
            outbox.close()
            assert courier.drain(LIMIT)
            courier.close()

    def drive(
        self,
        book: Book,
        interrupted: Callable[[], str] = lambda: "",
        timeout: float | None = None,
        limits: Limits = PATIENT,
        launcher: Launcher | None = None,
    ) -> tuple[str, Supervisor]:
        """Drive the sweep in this process, and deliver everything."""
        with self.supervisor(book, limits, launcher) as supervisor:
            reason = supervisor.drive(timeout, interrupted, self.statuses.append)
        return reason, supervisor

    def record(self, book: Book, number: int | None = None) -> Record:
        """What was delivered of a trial, or of the sweep itself."""
        key = book.spec.id if number is None else f"{book.spec.id}/{number}"
        (record,) = [record for record in self.store.records.values() if record.key == key]
        return record

    def trials(self, name: str) -> list[tuple[int, dict[str, Any], Any, str]]:
        """What the search is: number, parameters, values, state of each trial."""
        trials = books.load(self.storage, name).trials()
        return [(trial.number, trial.params, trial.values, trial.state) for trial in trials]
