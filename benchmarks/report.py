"""The report of a sweep of 200 small trials: how long it takes to write, and how large it is."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks._figure import SWEEP, Figure, empty_folder, environment

TRIALS, QUICK, SECONDS, MEGABYTES = 200, 12, 20, 10
SMALL = (
    "blocks=1",
    "width=4",
    "evaluation_samples=32",
    "evaluation_length=1",
    "evaluations=2",
    "buffer_size=100",
    "network_evaluations=120",
)


def measure(quick: bool) -> Iterator[Figure]:
    """Play the sweep, then write its report as a user does, start of the process included."""
    trials = QUICK if quick else TRIALS
    with empty_folder() as folder:
        settings = [word for pair in SMALL for word in ("--set", pair)]
        command = [*SWEEP, "run", "ebm", "--name", "many", "--trials", str(trials), "--pruner", "none", *settings]
        subprocess.run(command, cwd=folder, env=environment(), check=True, capture_output=True)
        began = time.perf_counter()
        subprocess.run([*SWEEP, "report", "many"], cwd=folder, env=environment(), check=True, capture_output=True)
        took = time.perf_counter() - began
        size = Path(folder, "many.html").stat().st_size / 1e6
    what = f"sweep report, {trials} trials"
    yield Figure(what, f"{took:.1f} s", f"< {SECONDS} s", took < SECONDS)
    yield Figure(f"{what}: size", f"{size:.2f} MB", f"< {MEGABYTES} MB", size < MEGABYTES)
