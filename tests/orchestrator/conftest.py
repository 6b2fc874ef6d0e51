"""Sweeps of the toy study, driven in this process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models._env import derive_seed
from orchestrator import book as books
from orchestrator import plan
from orchestrator.book import Book
from orchestrator.launchers.inline import InlineLauncher
from orchestrator.messages import Task
from orchestrator.plan import Options
from orchestrator.sweep import Supervisor, View
from tests.memory import MemoryTracker

QUADRATIC = str(Path(__file__).parents[1] / "toy_studies" / "quadratic.py")


def toy_task(folder: Path, tracking_uri: str = "", run: str = "run0", **config: Any) -> Task:
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
        tracking_uri=tracking_uri,
        run=run,
        checkpoint_seconds=1e9,
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "SWEEP_STORAGE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


class Bench:
    """A storage, a tracker in memory, and sweeps of the toy study on them."""

    def __init__(self) -> None:
        self.storage = books.connect("sqlite:///sweeps.db")
        self.tracker = MemoryTracker()
        self.views: list[View] = []

    def book(self, **options: Any) -> Book:
        """The sweep that the options ask for: a new one, or the one that stands."""
        spec = plan.resolve(Options(QUADRATIC, **{"name": "toy", "trials": 5, **options}), self.storage)
        return plan.settle(spec, self.storage) or books.create(self.storage, spec)

    def drive(
        self, book: Book, halt: Callable[[], str] = lambda: "", timeout: float | None = None, **more: Any
    ) -> tuple[str, Supervisor]:
        """Drive the sweep in this process."""
        run = self.tracker.start(book.spec.name, {}, {}, None)
        supervisor = Supervisor(book, InlineLauncher(self.tracker), self.tracker, run, **more)
        return supervisor.drive(timeout, halt, self.views.append), supervisor


@pytest.fixture
def bench(folder: Path) -> Bench:
    """See Bench."""
    return Bench()
