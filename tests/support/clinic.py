"""Sweeps on real stores, for the tests of `sweep doctor`: they are broken, inspected and repaired."""

import io
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from rich.console import Console

from orchestrator import session
from orchestrator.delivery.outbox import Outbox, run_id
from orchestrator.devices import Resources
from orchestrator.repair import doctor
from orchestrator.search import book as books
from orchestrator.search import new_sweep, plan
from orchestrator.search.book import Book
from orchestrator.search.options import request
from orchestrator.stores import optuna_storage
from orchestrator.supervisor import lease
from orchestrator.supervisor.interrupts import InterruptWatcher
from orchestrator.supervisor.machine import Machine
from tests.support.bench import PATIENT
from tests.support.paths import QUADRATIC
from tests.support.stores import dump

WHOLE = "toy: whole (3 trials, 4 runs)"


class Clinic:
    """Sweeps of the toy study in this process, on real stores, and what can be done to them."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch = folder, patch
        self.storage = optuna_storage.connect("sqlite:///sweeps.db")

    def run(self, asked: int = 10**9, **options: Any) -> "Clinic":
        """A sweep of three trials, or its rest, interrupted when its halt was ``asked`` so often."""
        left = iter(range(10**12))

        def halt(self: InterruptWatcher) -> str:
            self.reason = "interrupted" if next(left) >= asked else ""
            return self.reason

        options = {"name": "toy", "trials": 3, **options}
        spec = plan.resolve(request(options.pop("study", QUADRATIC), **options), self.storage)
        book = plan.settle(spec, self.storage) or new_sweep.create(self.storage, spec)
        with self.patch.context() as patched:
            patched.setattr(InterruptWatcher, "__call__", halt)
            session.drive(book, Machine("inline", Resources(("cpu",), 1), PATIENT), Console(file=io.StringIO()))
        return self

    def doctor(self, repair: bool = False, name: str = "toy") -> tuple[int, list[str]]:
        """Exit status, and the lines."""
        output = io.StringIO()
        status = doctor.visit([books.load(self.storage, name)], repair, Console(file=output, width=80))
        return status, output.getvalue().splitlines()

    def findings(self, repair: bool = False) -> list[str]:
        """The lines that tell of findings, of a doctor who is not content."""
        status, lines = self.doctor(repair)
        assert status == 1, lines
        return [line.strip() for line in lines if line.startswith("  ")]

    @property
    def book(self) -> Book:
        return books.load(self.storage, "toy")

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(f"sqlite:///{self.folder}/mlflow.db")

    def at(self, number: int | None = None) -> Path:
        """Folder of a trial or of the sweep."""
        return Path(".sweeps/toy" if number is None else f".sweeps/toy/trial-{number}")

    def id(self, number: int | None = None) -> str:
        """The run of a trial or of the sweep."""
        return run_id(self.at(number))

    def key(self, number: int | None = None) -> str:
        return self.book.spec.id + ("" if number is None else f"/{number}")

    def artifacts(self, number: int | None = None) -> Path:
        return Path(self.client.get_run(self.id(number)).info.artifact_uri)

    def purge(self, number: int | None = None) -> None:
        """As `mlflow gc` does."""
        self.client.delete_run(self.id(number))
        self.client._tracking_client.store._hard_delete_run(self.id(number))

    def sql(self, statement: str, *values: Any) -> None:
        with sqlite3.connect("mlflow.db") as connection:
            connection.execute(statement, values)
        connection.close()


def optuna_rows() -> list[str]:
    """All of Optuna's database but who drives: whoever repairs does."""
    return [row for row in dump("sweeps.db") if "'driver'" not in row]


def everything() -> dict[str, Any]:
    """Both databases and all files but locks, whose times alone may change."""
    found: dict[str, Any] = {name: dump(name) for name in ("sweeps.db", "mlflow.db") if Path(name).exists()}
    for path in [*Path(".sweeps").rglob("*"), *Path("mlruns").rglob("*")]:
        stat = path.stat()
        if path.suffix != ".lock" and path.is_file():
            found[str(path)] = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
    return found


def cured(clinic: Clinic, *expected: str, whole: str = WHOLE) -> None:
    """Exactly these are found, in this order; looking changes nothing; they are repaired; and then there are none."""
    before, optuna = everything(), optuna_rows()
    found = clinic.findings()
    assert len(found) == len(expected), found
    for line, pattern in zip(found, expected, strict=True):
        assert re.match(pattern, line), found
    assert everything() == before, "looking changes nothing"
    status, lines = clinic.doctor(repair=True)
    assert status == 0 and all(line.endswith("· repaired") for line in lines if line.startswith("  ")), lines
    assert optuna_rows() == optuna
    assert lease.driver(clinic.book) is None
    assert clinic.doctor()[:1] == (0,) and clinic.doctor()[1][0] == whole


def stays(clinic: Clinic) -> str:
    return f"toy: whole ({len(clinic.book.trials())} trials, {len(clinic.book.trials()) + 1} runs)"


def say_later(clinic: Clinic, number: int) -> None:
    outbox = Outbox(clinic.at(number))
    outbox.tags({"later": "word"})
    outbox.close()
