"""What a trial costs on top of its trainer: sweeps of an empty one, by the command line, with MLflow and SQLite.

Judged is the time in a long sweep, by trial, from the first trial's end until the last one has ended and all records of
trials have arrived in MLflow. It holds what makes a trial durable: its outbox, its ending on disk before it is said, the
telling, and the delivery, which the courier does meanwhile and in the same process. The difference between a long sweep and
one of a single trial says the same and holds what a long sweep does once, its figures; but it is a difference of two long
times, and uncertain by a tenth of a second on a machine that others use. Start-up and leaving are told apart. The
processor's time, of all processes, hardly depends on what else runs.
"""

import ctypes
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks._figure import SWEEP, Figure, empty_folder, environment

STUDY = Path(__file__).with_name("empty_study.py")
TRIALS, WORKERS, REPEATS = 50, 2, 5
TARGET = 100  # milliseconds
SENT = ".sweeps/empty/trial-*/outbox/sent.json"  # last written when all of a trial is in MLflow
ADOPT_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER of Linux


class Took(NamedTuple):
    """Seconds of a sweep. Start, trials and end add up to ``wall``."""

    wall: float
    start: float  # until the first trial has ended
    trials: float  # from there until the last has ended and all are delivered
    end: float  # figures, description, leaving
    behind: float  # of ``trials``: from the last one's end
    processor: float  # of all its processes


def sweep(trials: int, workers: int) -> Took:
    """Run a sweep of the empty trainer in a folder of its own."""
    options = ("--trials", str(trials), "--workers", str(workers), "--sampler", "tpe", "--name", "empty")
    with empty_folder() as folder:
        before, began, ended = _processor(), time.time(), []
        command = (*SWEEP, "run", str(STUDY), *options)
        with subprocess.Popen(command, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                if line.startswith("trial ") and f"/{trials} finished" in line:
                    ended.append(time.time() - began)
        wall = time.time() - began
        used = _processor() - before
        sent = [path.stat().st_mtime - began for path in folder.glob(SENT)]
    if process.returncode or len(ended) != trials or len(sent) != trials:
        raise AssertionError(f"{len(ended)} of {trials} trials finished, exit status {process.returncode}")
    first, last, done = ended[0], ended[-1], max(ended[-1], *sent)
    return Took(wall, first, done - first, wall - done, done - last, used)


def _processor() -> float:
    """Processor time, in seconds, of all processes below this one that have ended. Waits for them, on Linux.

    Workers are children of a server that outlives the sweep for a moment; it becomes our child when the sweep is gone.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(ADOPT_ORPHANS, 1, 0, 0, 0)
        try:
            while True:
                os.waitpid(-1, 0)
        except ChildProcessError:
            pass
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(quick: bool = False) -> Iterator[Figure]:
    """Medians, with the range; sweeps of one and of many trials take turns."""
    ones, longs = [], []
    for _ in range(1 if quick else REPEATS):
        ones.append(sweep(1, WORKERS))
        longs.append(sweep(TRIALS, WORKERS))
    pairs, more = list(zip(ones, longs, strict=True)), (TRIALS - 1) / 1000
    costs = [long.trials / more for long in longs]
    yield Figure(
        f"a trial of nothing, sweep of {TRIALS}, {WORKERS} workers",
        _range(costs),
        f"< {TARGET} ms",
        median(costs) < TARGET,
    )
    behind = [long.behind * 1000 for long in longs]
    yield Figure("  of which the courier, when the last trial has ended, in all", _range(behind))
    yield Figure(
        "  by the difference from a sweep of one", _range([(long.wall - one.wall) / more for one, long in pairs])
    )
    if sys.platform == "linux":
        used = [(long.processor - one.processor) / more for one, long in pairs]
        yield Figure("  the processor's, of all processes", _range(used))
    yield Figure("start-up, until the first trial has ended", f"{median(long.start for long in longs):.1f} s")
    yield Figure("figures and leaving", f"{median(long.end for long in longs):.1f} s")
    yield Figure("  leaving after a single trial, without figures", f"{median(one.end for one in ones):.1f} s")


def _range(values: list[float]) -> str:
    return f"{median(values):.0f} ms ({min(values):.0f} to {max(values):.0f})"
