"""What recording costs: the trainer, which only writes to its outbox, and then the courier, which brings that to MLflow.

The same points by MLflow's own ``log_metric``, one by one, stand beside both: without an outbox it is the trainer that
would wait for them. All in one fresh SQLite store that is set up as a sweep's is, by turns.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks._figure import Figure, empty_folder
from orchestrator.delivery.delivery import Delivery
from orchestrator.delivery.outbox import Outbox
from orchestrator.tracking import connection
from orchestrator.tracking.mlflow_store import MlflowStore

KEYS = [f"group/metric_{index}" for index in range(10)]
CALLS = 500  # of outbox.numbers, with a number for each key
SINGLE = 100  # points of the naive way
REPEATS = 7
TARGET = 1000  # points per second


def measure(quick: bool = False) -> Iterator[Figure]:
    """What a second brings to MLflow, and what a point costs the trainer."""
    writing, delivering, single = [], [], []
    with empty_folder() as folder:
        store = connection.connect(f"sqlite:///{folder / 'mlflow.db'}", "--tracking-uri", "benchmark")
        for repeat in range(2 if quick else REPEATS):  # they take turns
            wrote, delivered = _ours(store, folder / str(repeat))
            writing.append(wrote)
            delivering.append(delivered)
            single.append(_single(store))
    points = CALLS * len(KEYS)
    rates, singles = [points / seconds for seconds in delivering], [SINGLE / seconds for seconds in single]
    yield Figure(
        f"outbox to MLflow, fresh SQLite, {points:,} points of a trial",
        f"{median(rates):,.0f} points/s ({min(rates):,.0f} to {max(rates):,.0f})",
        f"> {TARGET:,}",
        median(rates) > TARGET,
    )
    yield Figure(
        "  by single log_metric in the same store",
        f"{median(singles):,.0f} points/s, {median(rates) / median(singles):.0f} times fewer",
    )
    calls = [seconds / CALLS * 1e6 for seconds in writing]
    yield Figure(
        f"outbox.numbers with {len(KEYS)} numbers, which is all that a trainer waits for",
        f"{median(calls):.0f} µs ({min(calls):.0f} to {max(calls):.0f}), {median(calls) / len(KEYS):.1f} µs a point",
    )
    yield Figure(
        "  a single log_metric",
        f"{1e6 / median(singles):,.0f} µs, {1e6 / median(singles) * len(KEYS) / median(calls):,.0f} times as long a point",
    )


def _ours(store: MlflowStore, folder: Path) -> tuple[float, float]:
    """Seconds to write a trial's points, and seconds to deliver them."""
    outbox = Outbox(folder)
    outbox.begin(folder.name, f"ours {folder.name}", {}, {})
    delivery = Delivery(folder, store)
    delivery.drain()  # the run is made, as it is when a trial begins
    began = time.perf_counter()
    for step in range(CALLS):
        outbox.numbers(step, {key: step + index / 10 for index, key in enumerate(KEYS)})
    wrote = time.perf_counter()
    delivery.drain()
    delivered = time.perf_counter()
    arrived = sum(len(store.client.get_metric_history(delivery.sent.run, key)) for key in KEYS)
    if arrived != CALLS * len(KEYS):
        raise AssertionError(f"{arrived} of {CALLS * len(KEYS)} points have arrived")
    outbox.end("FINISHED", {})
    delivery.drain()
    return wrote - began, delivered - wrote


def _single(store: MlflowStore) -> float:
    run = store.client.create_run(store.experiment, run_name="single").info.run_id
    began = time.perf_counter()
    for step in range(SINGLE):
        store.client.log_metric(run, KEYS[0], float(step), step=step)
    took = time.perf_counter() - began
    store.client.set_terminated(run)
    return took
