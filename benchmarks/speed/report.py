"""A sweep of 200 small trials: how long its report takes and how large it is, and how soon its page in MLflow is there."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks._figure import SWEEP, Figure, empty_folder, environment
from tests.screenshots import served
from tests.support.browser import Browser, absent

TRIALS, QUICK, SECONDS, MEGABYTES = 200, 12, 20, 10
PAGE_SECONDS, LOOKS = 3, 5
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
        looks = [] if absent() else _looks(folder, 2 if quick else LOOKS)
    what = f"sweep report, {trials} trials"
    yield Figure(what, f"{took:.1f} s", f"< {SECONDS} s", took < SECONDS)
    yield Figure(f"{what}: size", f"{size:.2f} MB", f"< {MEGABYTES} MB", size < MEGABYTES)
    what = f"page of a sweep of {trials} trials in Chromium, its table and best samples seen"
    if looks:
        middle = median(looks)
        seen = f"{middle:.1f} s ({min(looks):.1f} to {max(looks):.1f})"
        yield Figure(what, seen, f"< {PAGE_SECONDS} s", middle < PAGE_SECONDS)
    else:
        yield Figure(what, f"not measured: {absent()}")


def _looks(folder: Path, times: int) -> list[float]:
    """Seconds until the sweep's own page tells its best trials and shows their samples, each time loaded anew."""
    with served(folder, "many") as pages, Browser() as browser:
        taken = []
        for _ in range(times):
            began = time.perf_counter()
            browser.open(pages["sweep"])
            browser.wait_for("Best trials")
            browser.wait_for_picture("best_samples.png")
            taken.append(time.perf_counter() - began)
    return taken
