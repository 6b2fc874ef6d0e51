"""Sweeps that an earlier version made: they list, show, report and go on. See tests/fixtures/README.md."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.earlier import FIXTURES, FOLDER, as_before, earlier_sweeps
from tests.support.processes import LIMIT, environment

GOES_ON = {  # options of resume, finished trials afterwards
    "ebm-digits-1": ([], 3),
    "jem-digits-1": (["--trials", "3"], 3),
    "dvae-digits-1": (["--trials", "3"], 3),
    "ebm-compared-digits-1": (["--trials", "6"], 6),
}


@pytest.fixture
def earlier() -> Iterator[Path]:
    """The folder of the earlier sweeps, as they were; one test at a time has it."""
    with earlier_sweeps() as folder:
        yield folder


def sweep(*arguments: str) -> str:
    """What a command prints, run in the folder of the earlier sweeps; it must succeed."""
    command = [sys.executable, "-m", "orchestrator", *arguments]
    done = subprocess.run(command, cwd=FOLDER, env=environment(), capture_output=True, text=True, timeout=2 * LIMIT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def expected(name: str) -> Any:
    return json.loads((FIXTURES / "expected" / f"{name}.json").read_text())


def points() -> list[tuple[str, str, int]]:
    """Run, key and step of every metric's every point."""
    with sqlite3.connect(FOLDER / "mlflow.db") as connection:
        rows = connection.execute("select run_uuid, key, step from metrics").fetchall()
    connection.close()
    return rows


def test_earlier_sweeps_are_listed_and_shown_as_they_were(earlier: Path) -> None:
    assert as_before(json.loads(sweep("list", "--json")), expected("list")) == expected("list")
    table = sweep("list")
    for name in GOES_ON:
        assert name in table
        then = expected(f"show-{name}")
        assert as_before(json.loads(sweep("show", name, "--json")), then) == then


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "ebm-digits-1",
        "ebm-compared-digits-1",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("jem-digits-1", "dvae-digits-1")),
    ],
)
def test_an_earlier_sweep_is_reported_and_goes_on(earlier: Path, name: str) -> None:
    options, total = GOES_ON[name]
    before = expected(f"show-{name}")["every_trial"]
    assert "complete" in sweep("show", name, "0")
    sweep("report", name, "-o", "before.html")
    assert name in (FOLDER / "before.html").read_text()

    sweep("resume", name, *options, "--workers", "1", "--device", "cpu")

    after = json.loads(sweep("show", name, "--json"))
    assert after["finished"] == len(after["every_trial"]) == total and after["running"] == 0
    for then, now in zip(before, after["every_trial"], strict=False):
        assert (then["run"], then["settings"]) == (now["run"], now["settings"])
        if then["outcome"] == "complete":
            assert then == as_before(now, then)
    assert len(points()) == len(set(points())), "a point is there twice"
    sweep("report", name, "-o", "after.html")
    sweep("doctor", name)


@pytest.mark.parametrize("tracker", ["there", "gone"])
def test_an_earlier_sweep_that_is_complete_stays_as_it_is(earlier: Path, tracker: str) -> None:
    """It has no note that it is complete: its closed run in MLflow says so, and a tracker that is gone is not asked."""
    if tracker == "gone":
        (FOLDER / "mlflow.db").unlink()
    before = points() if tracker == "there" else []
    assert "jem-digits-1 is complete: it has all of its 2 trials" in sweep("resume", "jem-digits-1")
    assert not before or points() == before
    assert "closing" not in sweep("list")
