"""A sweep is killed when its last trial has ended and its process has not: while figures are drawn and records are closed.

It survives if the next `sweep resume` ends with status 0, and the one after that says that the sweep is complete and changes
no row of either store. Kills come at random moments between the end of the last trial and the end of the process.
"""

import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benchmarks._figure import empty_folder
from benchmarks.faults.forked import Command
from benchmarks.faults.row import Row

STUDY = Path(__file__).parents[2] / "tests" / "toy_studies" / "networks.py"
TRIALS = 2
RUN = ("run", str(STUDY), "--name", "last", "--trials", str(TRIALS), "--workers", "0", "--set", "steps=2")
RESUME = ("resume", "last")
FAULTS = {"kill −9": [signal.SIGKILL], "SIGTERM": [signal.SIGTERM], "Ctrl-C twice": [signal.SIGINT, signal.SIGINT]}
COUNTS = {"kill −9": 40, "SIGTERM": 10, "Ctrl-C twice": 10}


def measure(count: int | None = None) -> Iterator[Row]:
    """Kills and interrupts after the last trial: ``count`` times each, else as often as COUNTS says."""
    with empty_folder() as folder:
        span = _until_its_end(folder)
    for fault, signals in FAULTS.items():
        tried, survived = count or COUNTS[fault], 0
        for number in range(tried):
            with empty_folder() as folder:
                survived += _survives(folder, signals, span * random.Random(number).random())
        lost = f"{tried - survived} sweeps never closed" if survived < tried else "nothing"
        yield Row(f"{fault} between the last trial and the end", tried, survived, lost)


def _until_its_end(folder: Path) -> float:
    """Seconds from the end of the last trial to the end of the process."""
    command = _start(folder)
    began = time.monotonic()
    command.end()
    return time.monotonic() - began


def _start(folder: Path) -> Command:
    """A sweep whose trials have just ended."""
    command = Command(folder, *RUN)
    while command.runs() and _ended(folder / "sweeps.db") < TRIALS:
        time.sleep(0.01)
    return command


def _ended(database: Path) -> int:
    """How many trials have ended."""
    if not database.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            ((count,),) = connection.execute("select count(*) from trials where state = 'COMPLETE'")
            return int(count)
    except sqlite3.OperationalError:  # its tables are being made
        return 0


def _survives(folder: Path, signals: list[signal.Signals], seconds: float) -> bool:
    """Whether a sweep that got these signals so long after its last trial is closed by the next command."""
    command = _start(folder)
    time.sleep(seconds)
    for number in signals:
        if command.runs():
            os.kill(command.pid, number)
        time.sleep(0.05)
    command.end()
    first = Command(folder, *RESUME)
    closed = first.end() == 0
    before = _rows(folder)
    again = Command(folder, *RESUME)
    complete = again.end() == 0 and "is complete" in again.output.read_text()
    if not (closed and complete) or _rows(folder) != before:
        print(f"after {seconds:.2f} s: {first.output.read_text()}{again.output.read_text()}", file=sys.stderr)
        return False
    return True


def _rows(folder: Path) -> list[str]:
    """Both stores but who drives."""
    rows = []
    for name in ("sweeps.db", "mlflow.db"):
        with closing(sqlite3.connect(folder / name)) as connection:
            rows += [row for row in connection.iterdump() if "'driver'" not in row]
    return rows
