"""What a trial costs on top of its trainer: sweeps of an empty one, by the command line, with MLflow and SQLite.

A trial is (time of a long sweep − time of a sweep of one trial) / (trials − 1): starting the program is told apart. What
a long sweep does once, its figures, is in it. The hours of the lines that a sweep prints tell where its time goes.
"""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks._figure import SWEEP, Figure, empty_folder, environment

STUDY = Path(__file__).with_name("empty_study.py")
TRIALS, WORKERS, REPEATS = 50, 2, 3
TARGET = 0.1


class Took(NamedTuple):
    """Seconds of a sweep by what it did; they add up to ``wall``."""

    wall: float
    start: float  # until the first trial has ended
    trials: float  # from there to the end of the last
    end: float  # figures, description, leaving


def sweep(trials: int, workers: int) -> Took:
    """Run a sweep of the empty trainer in a folder of its own."""
    options = ("--trials", str(trials), "--workers", str(workers), "--sampler", "tpe", "--name", "empty")
    with empty_folder() as folder:
        began, ended = time.perf_counter(), []
        command = (*SWEEP, "run", str(STUDY), *options)
        with subprocess.Popen(command, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                if line.startswith("trial ") and " complete " in line:
                    ended.append(time.perf_counter() - began)
        wall = time.perf_counter() - began
    if process.returncode or len(ended) != trials:
        raise AssertionError(f"{len(ended)} of {trials} trials completed, exit status {process.returncode}")
    return Took(wall, ended[0], ended[-1] - ended[0], wall - ended[-1])


def measure() -> Iterator[Figure]:
    """Medians over repeats; sweeps of one and of many trials take turns."""
    ones, longs = [], []
    for _ in range(REPEATS):
        ones.append(sweep(1, WORKERS))
        longs.append(sweep(TRIALS, WORKERS))
    costs = [(long.wall - one.wall) / (TRIALS - 1) for one, long in zip(ones, longs, strict=True)]
    cost = median(costs)
    yield Figure(
        f"a trial of nothing, sweep of {TRIALS}, {WORKERS} workers, median of {REPEATS}",
        f"{cost * 1e3:.0f} ms ({min(costs) * 1e3:.0f} to {max(costs) * 1e3:.0f})",
        f"< {TARGET * 1e3:.0f} ms",
        cost < TARGET,
    )
    one, long = Took(*map(median, zip(*ones, strict=True))), Took(*map(median, zip(*longs, strict=True)))
    steady = long.trials / (TRIALS - 1) * 1e3
    yield Figure("  from the first trial's end to the last's, by trial", f"{steady:.0f} ms")
    yield Figure("  start-up, until the first trial has ended", f"{long.start:.1f} s")
    yield Figure("  figures and leaving", f"{long.end:.1f} s (after one trial {one.end:.1f} s)")
