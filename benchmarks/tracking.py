"""How long the numbers of a trial take to reach MLflow: ours in batches, and one by one as in a first attempt."""

import time
from collections.abc import Iterator
from statistics import median

from benchmarks._figure import Figure, empty_folder
from orchestrator import tracker

POINTS = 1000
SINGLE = 200  # points of the naive way, scaled
REPEATS = 7
TARGET = 1.0


def measure() -> Iterator[Figure]:
    """In a fresh SQLite store that is set up as a sweep's is."""
    with empty_folder() as folder:
        mlflow = tracker.connect(f"sqlite:///{folder / 'mlflow.db'}", "--tracking-uri", "benchmark")
        batched, single = [], []
        for repeat in range(REPEATS):  # they take turns
            batched.append(_batched(mlflow, f"batched {repeat}"))
            single.append(_single(mlflow, f"single {repeat}") * POINTS / SINGLE)
    took = median(batched)
    yield Figure(
        f"{POINTS:,} points of a trial to MLflow, fresh SQLite, median of {REPEATS}",
        f"{took:.2f} s ({min(batched):.2f} to {max(batched):.2f})",
        f"< {TARGET:g} s",
        took < TARGET,
    )
    yield Figure(
        f"  by single log_metric in the same store, from {SINGLE}",
        f"{median(single):.1f} s, {median(single) / took:.0f} times as long",
    )


def _batched(mlflow: tracker.MlflowTracker, name: str) -> float:
    run = mlflow.start(name, {}, {}, None)
    began = time.perf_counter()
    for step in range(POINTS // 10):
        run.scalars(step, {f"group/metric_{index}": step + index / 10 for index in range(10)})
    run.flush()
    took = time.perf_counter() - began
    arrived = sum(len(mlflow.client.get_metric_history(run.id, f"group/metric_{index}")) for index in range(10))
    if arrived != POINTS:
        raise AssertionError(f"{arrived} of {POINTS} points have arrived")
    run.end("FINISHED", {})
    return took


def _single(mlflow: tracker.MlflowTracker, name: str) -> float:
    run = mlflow.start(name, {}, {}, None)
    began = time.perf_counter()
    for step in range(SINGLE):
        mlflow.client.log_metric(run.id, "group/metric", float(step), step=step)
    took = time.perf_counter() - began
    run.end("FINISHED", {})
    return took
