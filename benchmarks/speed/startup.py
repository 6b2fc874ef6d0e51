"""How soon a command answers: its CPU seconds as a multiple of those of a process that only opens Optuna's store.

CPU seconds are of user and system together. They are the figure to compare, for other work on the machine lengthens the time
on the clock and hardly changes them; a ratio to a process that is measured in the same round holds on a slower machine as well.
The sweeps are those of tests/fixtures/sweeps-at-197e99b.tar.xz; the report is of a toy sweep with 40 trials.

`sweep doctor` and `sweep report` read MLflow's database themselves (orchestrator/tracking/database.py). Importing MLflow alone
takes twice what the bare store takes: its package imports pandas, FastAPI and its tools for language models before any of its
modules can be imported, and has no switch against it. They import it only for a server, and to repair.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks._figure import SWEEP, Figure, empty_folder, environment
from tests.support.earlier import earlier_sweeps
from tests.support.paths import ROOT

ROUNDS, TRIALS, QUICK_TRIALS = 5, 40, 4
OPEN_STORE = (sys.executable, "-c", "from optuna.storages import RDBStorage; RDBStorage('sqlite:///sweeps.db')")
DRAWS = 77  # exit status of a process that is about to draw
UNTIL_IT_DRAWS = f"""
import os, sys

class Drawing:
    def find_spec(self, name, path=None, target=None):
        if name == "matplotlib":
            os._exit({DRAWS})

sys.meta_path.insert(0, Drawing())
from orchestrator.__main__ import start
start()
"""
STUDY = ROOT / "tests" / "toy_studies" / "named.py"


class Command(NamedTuple):
    """A command, the multiple of the bare store that it may take, and how it ends."""

    name: str
    arguments: Sequence[str]
    target: float
    status: int = 0


def _sweep(arguments: str, target: float = 1.3, status: int = 0) -> Command:
    return Command(f"sweep {arguments}", [*SWEEP, *arguments.split()], target, status)


COMMANDS = (
    _sweep("list"),
    _sweep("show ebm-digits-1"),
    _sweep("show ebm-digits-1 0"),
    _sweep("studies"),
    _sweep("studies ebm"),
    _sweep("enqueue ebm-digits-1 step_size=10"),
    _sweep("extend ebm-digits-1 --trials 9"),
    _sweep("pause ebm-digits-1", status=2),
    _sweep("run --help"),
    _sweep("run ebm --sampler nonsense", status=2),
    _sweep("doctor ebm-digits-1"),
)


class Cost(NamedTuple):
    """What a process took."""

    cpu: float  # seconds, user and system
    wall: float  # seconds
    memory: float  # MB at the most


def measure(quick: bool) -> Iterator[Figure]:
    """Each command beside a process that opens the store, in several rounds; the medians."""
    rounds = 1 if quick else ROUNDS
    with earlier_sweeps() as folder:
        yield from _compared(COMMANDS, folder, rounds)
    trials = QUICK_TRIALS if quick else TRIALS
    with empty_folder() as folder:
        command = [*SWEEP, "run", str(STUDY), "--name", "many", "--trials", str(trials)]
        subprocess.run(command, cwd=folder, env=environment(), check=True, capture_output=True)
        arguments = [sys.executable, "-c", UNTIL_IT_DRAWS, "report", "many"]
        yield from _compared(
            [Command(f"sweep report, {trials} trials, until it draws", arguments, 1.3, DRAWS)], folder, rounds
        )


def _compared(commands: Sequence[Command], folder: Path, rounds: int) -> Iterator[Figure]:
    for command in commands:
        pairs = [
            (_cost(OPEN_STORE, folder, 0), _cost(command.arguments, folder, command.status)) for _ in range(rounds)
        ]
        ratio = statistics.median(cost.cpu / bare.cpu for bare, cost in pairs)
        cpu, wall, memory = (statistics.median(values) for values in zip(*(cost for _, cost in pairs), strict=True))
        measured = f"{ratio:.2f} × the bare store ({cpu:.2f} s of CPU, {wall:.2f} s, {memory:.0f} MB)"
        yield Figure(command.name, measured, f"≤ {command.target:g} ×", ratio <= command.target)


def _cost(arguments: Sequence[str], folder: Path, status: int) -> Cost:
    """Run a process to its end."""
    variables = {**environment(), "PYTHONPATH": str(ROOT)}
    began = time.monotonic()
    process = subprocess.Popen(
        arguments, cwd=folder, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, ended, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(ended)
    if process.returncode != status:
        raise RuntimeError(f"{' '.join(arguments)} ended with exit status {process.returncode}, not {status}")
    unit = 1e6 if sys.platform == "darwin" else 1e3  # of ru_maxrss: bytes there, kB here
    return Cost(used.ru_utime + used.ru_stime, time.monotonic() - began, used.ru_maxrss / unit)
