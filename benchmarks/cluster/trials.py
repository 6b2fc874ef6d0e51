"""What a trial of nothing costs on a Ray cluster of this machine, beside the local launcher and beside Ray Tune.

Judged is the time in a long sweep, by trial, from the first trial's end to the last one's, as `orchestration` does. All three
play the same trials of the same trainer with as many at a time; the sweeps keep MLflow and Optuna, Ray Tune keeps nothing but
its own folder. They take turns, so that whatever else runs here hinders all alike.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from benchmarks._figure import SWEEP, Figure, empty_folder, environment

STUDY = Path(__file__).parents[1] / "speed" / "empty_study.py"
WORKERS, REPEATS = 2, 3
TRIALS, QUICK_TRIALS = {0.0: 50, 1.0: 40}, {0.0: 12, 1.0: 10}  # by the seconds that a trial sleeps
TARGET = 150  # milliseconds
MOST_IDLE = 0.05  # of the time, with trials of a second
TUNE = """
import json, os, sys, time
import ray
from ray import tune

trials, workers, seconds, folder = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
ended = []

class Clock(tune.Callback):
    def on_trial_complete(self, iteration, trials, trial, **info):
        ended.append(time.monotonic())

def train(config):
    time.sleep(seconds)
    tune.report({"distance": (config["x"] - 0.3) ** 2 + config["y"] ** 2})

ray.init(address="local", num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
space = {"x": tune.uniform(-1, 1), "y": tune.uniform(-1, 1)}
tuner = tune.Tuner(
    train,
    param_space=space,
    tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=workers),
    run_config=tune.RunConfig(storage_path=folder, verbose=0, callbacks=[Clock()]),
)
tuner.fit()
assert len(ended) == trials, len(ended)
print(json.dumps(ended[-1] - ended[0]))
"""


def sweep(launcher: str, trials: int, seconds: float) -> float:
    """Seconds between the ends of the first and of the last trial."""
    options = ("--trials", str(trials), "--workers", str(WORKERS), "--sampler", "random", "--name", "empty")
    options += ("--set", f"seconds={seconds}")
    ended = []
    with empty_folder() as folder:
        command = (*SWEEP, "run", str(STUDY), *options, "--launcher", launcher)
        with subprocess.Popen(command, cwd=folder, env=_variables(), stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                if line.startswith("trial ") and f"/{trials} finished" in line:
                    ended.append(time.monotonic())
    if process.returncode or len(ended) != trials:
        raise AssertionError(f"{len(ended)} of {trials} trials finished, exit status {process.returncode}")
    return ended[-1] - ended[0]


def tune(trials: int, seconds: float) -> float:
    """The same by Ray Tune."""
    with empty_folder() as folder:
        command = (sys.executable, "-c", TUNE, str(trials), str(WORKERS), str(seconds), str(folder))
        done = subprocess.run(command, cwd=folder, env=_variables(), capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(done.stderr[-2000:])
    return float(json.loads(done.stdout.splitlines()[-1]))


def _variables() -> dict[str, str]:
    """Ray counts its users over the network unless it is told not to; no cluster but ours is joined."""
    kept = {name: value for name, value in environment().items() if not name.startswith("RAY_")}
    before = os.environ.get("PYTHONPATH", "")
    return kept | {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": before}


def measure(quick: bool = False) -> Iterator[Figure]:
    """Medians, with the range; the three take turns."""
    if find_spec("ray") is None:
        yield Figure(
            "trials on a Ray cluster", "not measured: Ray is not installed; pip install 'generative-sweeps[ray]'"
        )
        return
    tuned = find_spec("pyarrow") is not None  # which Ray Tune stands on
    if not tuned:
        yield Figure("Ray Tune", "not measured: pyarrow is not installed")
    for seconds, trials in (QUICK_TRIALS if quick else TRIALS).items():
        took: dict[str, list[float]] = {"local": [], "ray": [], **({"tune": []} if tuned else {})}
        for _ in range(1 if quick else REPEATS):
            for name, times in took.items():
                times.append(tune(trials, seconds) if name == "tune" else sweep(name, trials, seconds))
        yield from _idle(took, trials, seconds) if seconds else _costs(took, trials)


def _costs(took: Mapping[str, list[float]], trials: int) -> Iterator[Figure]:
    costs = {name: [time * 1000 / (trials - 1) for time in times] for name, times in took.items()}
    more = [ray - local for ray, local in zip(costs["ray"], costs["local"], strict=True)]
    yield Figure(f"a trial of nothing by --launcher ray, {WORKERS} at a time, {trials} in all", _range(costs["ray"]))
    yield Figure("  the same by --launcher local", _range(costs["local"]))
    yield Figure("  what the cluster adds", _range(more), f"< {TARGET} ms", median(more) < TARGET)
    if "tune" in costs:
        yield Figure("  the same by Ray Tune", _range(costs["tune"]))


def _idle(took: Mapping[str, list[float]], trials: int, seconds: float) -> Iterator[Figure]:
    """The share of the time in which a worker has no trial: beyond what as many trials after each other take."""
    least = (trials / WORKERS - 1) * seconds
    for name, times in took.items():
        idle = [1 - least / time for time in times]
        judged = name == "ray"
        yield Figure(
            f"between trials of {seconds:g} s, {WORKERS} at a time, {trials} in all: idle by {name}",
            f"{median(idle):.1%} ({min(idle):.1%} to {max(idle):.1%})",
            f"< {MOST_IDLE:.0%}" if judged else "",
            median(idle) < MOST_IDLE if judged else None,
        )


def _range(values: list[float]) -> str:
    return f"{median(values):.0f} ms ({min(values):.0f} to {max(values):.0f})"
