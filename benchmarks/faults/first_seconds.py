"""The first command in an empty folder is killed, interrupted, or begun several times at once.

A start survives a kill if the same command, given again, ends with status 0. Kills come at random moments between the start
of the process and the first trial.
"""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks._figure import SWEEP, empty_folder, environment
from benchmarks.faults.row import Row

STUDY = Path(__file__).parents[2] / "tests" / "toy_studies" / "quadratic.py"
COMMAND = (*SWEEP, "run", str(STUDY), "--trials", "1", "--workers", "0", "--set", "steps=2")
LIMIT = 300  # seconds that no command takes unless it hangs
SETS, TOGETHER = 50, 4  # sets of simultaneous starts


def measure(count: int | None = None) -> Iterator[Row]:
    """Kills, interrupts, and simultaneous starts with and without a name: ``count`` times, else 100 kills and 50 sets."""
    span = _until_first_trial()
    named = (*COMMAND, "--name", "first")
    for fault, how in (("kill −9", signal.SIGKILL), ("Ctrl-C", signal.SIGINT)):
        survived = _times(count or 100, partial(_survives, named, how, span))
        yield _row(f"{fault} before the first trial of a new folder", count or 100, survived)
    for fault, name in (("", ("--name", "start-{}")), (" without `--name`", ())):
        survived = _times(count or SETS, partial(_all_start, name))
        yield _row(f"{TOGETHER} first commands at once in a new folder{fault}", count or SETS, survived)


def _row(fault: str, tried: int, survived: int) -> Row:
    return Row(fault, tried, survived, f"{tried - survived} folders" if survived < tried else "nothing")


def _times(count: int, survives: "partial[bool]") -> int:
    survived = 0
    for number in range(count):
        with empty_folder() as folder:
            survived += survives(folder, random.Random(number))
    return survived


def _until_first_trial() -> float:
    """Seconds from the start of a command to its first trial."""
    with empty_folder() as folder:
        process, began = _start(COMMAND, folder), time.monotonic()
        while not list(folder.glob(".sweeps/*/trial-0")) and process.poll() is None:
            time.sleep(0.01)
        seconds = time.monotonic() - began
        process.wait(LIMIT)
    return seconds


def _survives(command: tuple[str, ...], how: signal.Signals, span: float, folder: Path, chance: random.Random) -> bool:
    """Whether the command, killed and given again, ends with status 0."""
    process, moment = _start(command, folder), chance.uniform(0, span)
    time.sleep(moment)
    process.send_signal(how)
    process.wait(LIMIT)
    return _ended(_start(command, folder), f"after {how.name} at {moment:.2f} s")


def _all_start(name: tuple[str, ...], folder: Path, chance: random.Random) -> bool:
    """Whether commands that begin together all end with status 0."""
    commands = [(*COMMAND, *(word.format(number) for word in name)) for number in range(TOGETHER)]
    processes = [_start(command, folder) for command in commands]
    return all([_ended(process, "together with others") for process in processes])


def _start(command: tuple[str, ...], folder: Path) -> "subprocess.Popen[str]":
    """The command in a folder; what it prints goes to a pipe."""
    return subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _ended(process: "subprocess.Popen[str]", when: str) -> bool:
    """Whether a process ends with status 0; what it printed is shown where it does not."""
    output, _ = process.communicate(timeout=LIMIT)
    if process.returncode:
        print(f"status {process.returncode} {when}: {output.strip()[-400:]}", file=sys.stderr)
    return process.returncode == 0
