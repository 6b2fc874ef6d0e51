"""Sweeps of the toy study, driven in this process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator import book as books
from orchestrator import plan
from orchestrator.book import Book
from orchestrator.launchers.inline import InlineLauncher
from orchestrator.plan import Options
from orchestrator.sweep import Supervisor, View
from tests.memory import MemoryTracker

QUADRATIC = str(Path(__file__).parents[1] / "toy_studies" / "quadratic.py")


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
