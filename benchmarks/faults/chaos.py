"""Twelve kills −9 of random processes of a sweep of fourteen `ebm` trials with default options: at its start, in it, at its end.

A victim is the command itself or any process below it, at a random moment; a command that was killed is followed by
`sweep resume`. A sweep survives if all of its trials end by themselves, each in one MLflow run, and `doctor` finds it whole.
The trials have a tenth of the recipe's network evaluations, so that ten sweeps take less than an hour.
"""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile

import psutil

from benchmarks._figure import SWEEP, empty_folder, environment
from benchmarks.faults.row import Row

TRIALS, KILLS, SWEEPS = 14, 12, 10
EVALUATIONS = 2000  # of the network for each trial; the recipe has 20,000
LONGEST_SECONDS = 9.0  # from a kill to the next
LIMIT = 1800.0  # seconds that no sweep takes unless it hangs
RUN = ("run", "ebm", "--name", "chaos", "--trials", str(TRIALS), "--set", f"network_evaluations={EVALUATIONS}")
RESUME = ("resume", "chaos")
BY_THEMSELVES = ("complete", "pruned", "diverged")  # outcomes that the settings of a trial cause


def measure(count: int | None = None) -> Iterator[Row]:
    """One row: ``count`` sweeps, else ten."""
    tried, survived, kills = count or SWEEPS, 0, 0
    for number in range(tried):
        with empty_folder() as folder:
            made, problem = _play(folder, random.Random(number))
        kills += made
        survived += not problem
        print(f"sweep {number}: {made} kills, {problem or f'{TRIALS} of {TRIALS}'}", file=sys.stderr, flush=True)
    fault = f"up to {KILLS} kills −9 anywhere in a sweep of {TRIALS} `ebm` trials ({kills} in all)"
    yield Row(fault, tried, survived, f"{tried - survived} sweeps" if survived < tried else "nothing")


def _play(folder: Path, chance: random.Random) -> tuple[int, str]:
    """How many kills a sweep got before its end, and what it lost by them; '' where that is nothing."""
    line, kills, ends = RUN, 0, time.monotonic() + LIMIT
    while True:
        with TemporaryFile() as output:
            command = subprocess.Popen(
                [*SWEEP, *line], cwd=folder, env=environment(), stdout=output, stderr=subprocess.STDOUT
            )
            while kills < KILLS and _runs(command, chance.uniform(0, LONGEST_SECONDS)):
                kills += _kill(command, chance)
            try:
                status = command.wait(max(1.0, ends - time.monotonic()))
            except subprocess.TimeoutExpired:
                _end(command)
                return kills, f"not at its end after {LIMIT:g} s"
            output.seek(0)
            printed = output.read().decode(errors="replace")
        if status == 0:
            return kills, _lost(folder)
        if status > 0:
            return kills, f"status {status}: {printed[-600:]}"
        # One that was killed before it had made its sweep is given again.
        line = RESUME if "chaos" in _printed(folder, "list", "--json") else RUN


def _runs(command: "subprocess.Popen[bytes]", seconds: float) -> bool:
    """Whether the command still runs after so many seconds."""
    try:
        command.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def _kill(command: "subprocess.Popen[bytes]", chance: random.Random) -> int:
    """Kill one of the processes of a command; returns 0 where it had just left."""
    try:
        process = psutil.Process(command.pid)
        chance.choice([process, *process.children(recursive=True)]).kill()
    except psutil.NoSuchProcess:
        return 0
    return 1


def _end(command: "subprocess.Popen[bytes]") -> None:
    for process in [*psutil.Process(command.pid).children(recursive=True), command]:
        process.kill()
    command.wait()


def _lost(folder: Path) -> str:
    """What is not as it should be in a sweep that has ended; '' where nothing is."""
    shown = json.loads(_printed(folder, "show", "chaos", "--json"))["every_trial"]
    outcomes = [trial["outcome"] for trial in shown]
    good = sum(outcome in BY_THEMSELVES for outcome in outcomes)
    runs = {trial["run"] for trial in shown}
    if good != TRIALS or len(outcomes) != TRIALS or len(runs) != TRIALS:
        reasons = [trial.get("reason") for trial in shown if trial["outcome"] not in BY_THEMSELVES]
        return f"{good} of {TRIALS} ended by themselves in {len(runs)} runs: {outcomes} {reasons}"
    doctor = _printed(folder, "doctor", "chaos")
    return "" if "chaos: whole" in doctor else doctor


def _printed(folder: Path, *arguments: str) -> str:
    done = subprocess.run([*SWEEP, *arguments], cwd=folder, env=environment(), capture_output=True, text=True)
    return done.stdout
