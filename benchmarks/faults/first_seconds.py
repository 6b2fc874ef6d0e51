"""The first command in a folder is killed, interrupted, or begun several times at once; also with a new PostgreSQL database.

A start survives a kill if the same command, given again, ends with status 0. Kills come at random moments between the start of
the command and its first trial. PostgreSQL is tried where SWEEP_TEST_POSTGRESQL names a server, as in
``tests/postgresql.sh python -m benchmarks.faults first_seconds``.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from benchmarks._figure import empty_folder
from benchmarks.faults import databases
from benchmarks.faults.forked import Command
from benchmarks.faults.row import Row

STUDY = Path(__file__).parents[2] / "tests" / "toy_studies" / "quadratic.py"
RUN = ("run", str(STUDY), "--trials", "1", "--workers", "0", "--set", "steps=2")
KILLS, SETS, TOGETHER = 100, 50, 4
Stores = Callable[[], dict[str, str]]  # gives new ones, as environment variables


def measure(count: int | None = None) -> Iterator[Row]:
    """Kills, interrupts, and simultaneous starts with and without a name: ``count`` times, else 100 kills and 50 sets."""
    places: list[tuple[str, Stores]] = [("folder", dict)]
    if databases.SERVER in os.environ:
        places.append(("PostgreSQL database", databases.new))
    for place, stores in places:
        span = _until_first_trial(stores)
        for fault, number in (("kill −9", signal.SIGKILL), ("Ctrl-C", signal.SIGINT)):
            survived = _times(count or KILLS, partial(_survives, number, span, stores))
            yield _row(f"{fault} before the first trial, new {place}", count or KILLS, survived)
        for fault, name in (("with names", ("--name", "start-{}")), ("without names", ())):
            survived = _times(count or SETS, partial(_all_start, name, stores))
            yield _row(f"{TOGETHER} first commands at once {fault}, new {place}", count or SETS, survived)


def _row(fault: str, tried: int, survived: int) -> Row:
    return Row(fault, tried, survived, f"{tried - survived} folders" if survived < tried else "nothing")


def _times(count: int, survives: "partial[bool]") -> int:
    survived = 0
    for number in range(count):
        with empty_folder() as folder:
            survived += survives(folder, random.Random(number))
    return survived


def _survives(number: signal.Signals, span: float, stores: Stores, folder: Path, chance: random.Random) -> bool:
    """Whether the command, killed and given again, ends with status 0."""
    variables, arguments = stores(), (*RUN, "--name", "first")
    command, moment = Command(folder, *arguments, variables=variables), chance.uniform(0, span)
    time.sleep(moment)
    with suppress(ProcessLookupError):  # it has ended already
        os.kill(command.pid, number)
    command.end()
    return Command(folder, *arguments, variables=variables).succeeds(f"after {number.name} at {moment:.2f} s")


def _until_first_trial(stores: Stores) -> float:
    """Seconds from the start of a command to its first trial, on the machine as busy as it is now."""
    with empty_folder() as folder:
        Command(folder, *RUN, variables=stores()).end()  # the first one waits for all imports
    with empty_folder() as folder:
        began = time.monotonic()
        command = Command(folder, *RUN, variables=stores())
        while not list(folder.glob(".sweeps/*/trial-0")) and command.runs():
            time.sleep(0.01)
        seconds = time.monotonic() - began
        if not command.succeeds("undisturbed"):
            raise AssertionError("the command fails without a fault")
    return seconds


def _all_start(name: tuple[str, ...], stores: Stores, folder: Path, chance: random.Random) -> bool:
    """Whether commands that begin together all end with status 0."""
    variables = stores()
    lines = [(*RUN, *(word.format(number) for word in name)) for number in range(TOGETHER)]
    commands = [Command(folder, *line, variables=variables) for line in lines]
    return all([command.succeeds("together with others") for command in commands])
