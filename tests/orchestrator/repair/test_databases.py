"""Damaged databases: every command names the file and a way out, `sweep doctor` looks at them first, the ways out work."""

import os
import random
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestrator import sweep as api
from orchestrator.cli.main import main
from orchestrator.errors import UserError
from tests.support import variables
from tests.support.paths import QUADRATIC

BEGIN = ["run", QUADRATIC, "--trials", "1", "--workers", "0"]
DOCTOR = [["doctor"], ["doctor", "toy"], ["doctor", "toy", "--repair"]]
READ = [["list"], ["show", "toy"], ["report", "toy", "-o", "report.html"], ["rm", "toy"]]  # rm is not confirmed
WRITE = [["resume", "toy", "--trials", "2", "--workers", "0"], ["sync", "toy"], [*BEGIN, "--name", "other"]]
WAY_OUT = r"put a back-up (in its place|there), or|is a folder; .*move it away"


def random_bytes(share: float, pages: int) -> Callable[[Path], None]:
    """Random bytes from a share of the file on."""

    def write(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(int(path.stat().st_size * share) // 4096 * 4096)
            file.write(random.Random(0).randbytes(4096 * pages))

    return write


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "random bytes in the first page": random_bytes(0, 1),
    "random bytes in the middle": random_bytes(0.1, 15),
    "random bytes at the end": random_bytes(0.98, 2),
    "half of it": lambda path: os.truncate(path, path.stat().st_size // 2),
    "no bytes": lambda path: os.truncate(path, 0),
    "a text": lambda path: path.write_text("text " * 1000),
    "a folder": folder_instead,
}


def sweep(command: list[str]) -> Result:
    """A command that ended without a traceback."""
    done = CliRunner().invoke(main, command, input="n\n")
    assert done.exception is None or isinstance(done.exception, SystemExit), (command, done.exception)
    return done


def runs(database: Path) -> list[tuple[str]]:
    """The ids of all runs in MLflow's file."""
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT run_uuid FROM runs ORDER BY run_uuid").fetchall()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sweep that has ended."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        variables.unset(patch)
        assert sweep([*BEGIN, "--name", "toy"]).exit_code == 0
    return folder


@pytest.fixture
def copy(folder: Path, whole: Path) -> Path:
    """The current folder, with a copy of it."""
    shutil.copytree(whole, folder, dirs_exist_ok=True)
    return folder


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_storage_is_named_with_a_way_out(copy: Path, damage: str) -> None:
    DAMAGE[damage](copy / "sweeps.db")
    for command in DOCTOR:
        done = sweep(command)
        assert done.exit_code == 1 and "sweeps.db is " in done.output and re.search(WAY_OUT, done.output), done.output
    if damage == "random bytes at the end":  # which only a check of the whole file finds
        return
    for command in [*READ, *WRITE[: 2 if damage == "no bytes" else 3]]:
        done = sweep(command)
        assert done.exit_code == 2 and re.search(WAY_OUT, done.output), (command, done.output)
        assert "sweeps.db is " in done.output, (command, done.output)
    with pytest.raises(UserError, match="sweeps.db"):
        api.load("toy")


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_tracker_is_named_with_a_way_out(copy: Path, damage: str) -> None:
    DAMAGE[damage](copy / "mlflow.db")
    for command in DOCTOR[: 2 if damage == "no bytes" else 3]:
        done = sweep(command)
        assert done.exit_code == 1, done.output
        assert damage == "no bytes" or "mlflow.db is " in done.output and re.search(WAY_OUT, done.output), done.output
    if damage in ("no bytes", "random bytes at the end"):
        return
    for command in READ:
        assert sweep(command).exit_code == (1 if command[0] == "rm" else 0), command
    for command in WRITE:
        done = sweep(command)
        assert done.exit_code == 2 and "mlflow.db is " in done.output, (command, done.output)
        assert re.search(WAY_OUT, done.output), (command, done.output)


def test_a_storage_that_is_put_back_or_begun_anew_works(copy: Path, whole: Path) -> None:
    DAMAGE["random bytes in the middle"](copy / "sweeps.db")
    shutil.copy(copy / "sweeps.db", "damaged.db")
    for suffix in ("-wal", "-shm"):
        (copy / f"sweeps.db{suffix}").unlink(missing_ok=True)
    for path in whole.glob("sweeps.db*"):  # with what is ahead of the file
        shutil.copy(path, copy)
    assert sweep(["doctor"]).exit_code == 0
    shutil.move("sweeps.db", "whole.db")
    assert sweep([*BEGIN, "--name", "toy"]).exit_code == 2, "its files are kept"
    assert sweep(BEGIN).exit_code == 0
    assert (copy / ".sweeps" / "toy" / "trial-0").is_dir() and sweep(["doctor"]).exit_code == 0


def test_runs_of_a_tracker_that_was_moved_away_are_made_again(copy: Path) -> None:
    DAMAGE["half of it"](copy / "mlflow.db")
    assert "`sweep doctor --repair`, which makes the runs again" in sweep(["doctor"]).output
    for path in copy.glob("mlflow.db*"):
        path.rename(f"{path.name}.aside")
    done = sweep(["doctor"])
    assert done.exit_code == 1 and "if they were moved, say first where they are: `sweep resume toy" in done.output
    done = sweep(["resume", "toy", "--trials", "9"])
    assert done.exit_code == 2 and "`sweep resume toy --tracking-uri URI`" in done.output, done.output
    assert not list(copy.glob("mlflow.db*[!e]"))
    assert sweep(["doctor", "--repair"]).exit_code == 0
    assert sweep(["doctor"]).exit_code == 0


def test_runs_of_a_tracker_that_another_sweep_has_moved_to_are_not_made_again(copy: Path) -> None:
    """MLflow's file was moved with the runs of two sweeps, and one of them was told."""
    assert sweep([*BEGIN, "--name", "other"]).exit_code == 0
    for path in copy.glob("mlflow.db*"):
        path.rename(path.name.replace("mlflow", "moved"))
    before = runs(copy / "moved.db")
    assert sweep(["resume", "other", "--tracking-uri", "sqlite:///moved.db"]).exit_code == 0
    uri = f"sqlite:///{copy}/moved.db"
    for arguments in (["doctor"], ["doctor", "--repair"], ["doctor", "toy", "--repair"]):
        done = sweep(arguments)
        assert done.exit_code == 1 and f"`sweep resume toy --tracking-uri {uri}`" in done.output, done.output
        assert "made again" not in done.output
    assert sweep(["resume", "toy", "--tracking-uri", uri]).exit_code == 0
    assert sweep(["doctor"]).exit_code == 0
    assert runs(copy / "moved.db") == before
