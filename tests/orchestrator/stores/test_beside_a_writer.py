"""Commands that only read wait for nobody who writes to a store at the same moment."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator import sweep
from orchestrator.cli.main import main
from orchestrator.stores import sqlite
from tests.support import variables
from tests.support.paths import QUADRATIC


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder, with a finished sweep, whose stores another connection is writing to."""
    folder, before = tmp_path_factory.mktemp("locked"), Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        variables.unset(patch)
        os.chdir(folder)
        sweep.run(QUADRATIC, name="toy", trials=2, workers=0, set={"steps": 3}, quiet=True)
        patch.setattr(sqlite, "WAIT_SECONDS", 0.2)
        with closing(sqlite3.connect("sweeps.db")) as optuna, closing(sqlite3.connect("mlflow.db")) as mlflow:
            for connection in (optuna, mlflow):
                connection.execute("BEGIN IMMEDIATE")
            yield folder
    os.chdir(before)


@pytest.mark.parametrize(
    "line",
    [
        "list",
        "list --json",
        "show toy",
        "show toy 0",
        "show toy --json",
        "report toy",
        "doctor",
        "doctor toy --repair",
        "pack toy -o toy.zip",
        "sample toy 0",
        f"run {QUADRATIC} --name other --dry-run",
    ],
)
def test_who_reads_does_not_wait_for_who_writes(locked: Path, line: str) -> None:
    done = CliRunner().invoke(main, line.split())
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    "line", ["enqueue toy x=0.5", "resume toy --trials 3 --workers 0", f"run {QUADRATIC}", "rm toy --yes"]
)
def test_who_writes_hears_who_locks_the_store(locked: Path, line: str) -> None:
    before = sorted(path.name for path in locked.rglob("*"))
    done = CliRunner().invoke(main, line.split())
    assert done.exit_code == 2 and "is locked by " in done.output, done.output
    assert sorted(path.name for path in locked.rglob("*")) == before
