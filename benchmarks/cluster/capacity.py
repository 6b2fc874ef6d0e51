"""Which part of a sweep is busy first with 1,000 workers? What each part takes for a trial is measured, and multiplied.

A part that takes c seconds for a trial is busy all the time where W workers play trials of W × c seconds: with shorter ones they
wait for it. Asking, reporting and telling are those of a sweep of the ebm study in which others run and many have ended. On
SQLite; and on PostgreSQL where SWEEP_TEST_POSTGRESQL is the address of a server, as tests/postgresql.sh has it.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median

from benchmarks import _trials, book
from benchmarks._figure import Figure, empty_folder
from benchmarks.cluster import growth
from orchestrator.delivery.delivery import Delivery
from orchestrator.delivery.outbox import Outbox
from orchestrator.messages import Ended
from orchestrator.search import new_sweep
from orchestrator.search import samplers as search
from orchestrator.search.book import Book
from orchestrator.stores import optuna_storage
from orchestrator.tracking import connection

ENDED, QUICK_ENDED = (100, 1_000, 10_000), (50, 100)
RUNNING, WORKERS = 64, 1_000
REPEATS, QUICK_REPEATS = 9, 2
REPORTS = 5  # of a trial
STEPS, KEYS, PICTURE = 50, 10, bytes(20_000)  # what a trial records: numbers of KEYS at STEPS, and a picture

Costs = dict[str, tuple[float, float]]  # medians: seconds of the processor, and on the clock


class Stopwatch:
    """Seconds of this process's processor time and of the clock, by what was timed."""

    def __init__(self) -> None:
        self.took: dict[str, list[tuple[float, float]]] = {}

    def __call__(self, name: str, step: Callable[[], object]) -> object:
        """Time a step, and return its result."""
        processor, clock = time.process_time(), time.perf_counter()
        result = step()
        self.took.setdefault(name, []).append((time.process_time() - processor, time.perf_counter() - clock))
        return result

    def medians(self) -> Costs:
        """Of each. The first one of several warms up."""
        kept = {name: times[1:] or times for name, times in self.took.items()}
        return {name: (median(t[0] for t in times), median(t[1] for t in times)) for name, times in kept.items()}


def deciding(url: str, ended: int, repeats: int) -> Costs:
    """What asking, reporting and telling a trial take, by who decides, while RUNNING others run."""
    storage, timed = optuna_storage.connect(url), Stopwatch()
    sweep = new_sweep.create(storage, _trials.spec(ended + RUNNING + 4 * repeats + 8))
    _trials.fill(storage, sweep, ended)
    _decide(sweep, "random", "none")
    for _ in range(RUNNING):
        sweep.ask()
    for _ in range(repeats + 1):
        for sampler, pruner in (("random", "none"), ("tpe", "median")):
            _decide(sweep, sampler, pruner)
            number = timed(f"ask, {sampler}", sweep.ask).number  # type: ignore[attr-defined]
            for index in range(1, REPORTS + 1):
                value = _trials.value(number, index)
                timed(f"report, {pruner}", lambda: sweep.report(number, index, (value,)))  # noqa: B023
            timed("tell", lambda: sweep.tell(number, Ended("complete", (value,), seconds=1.0)))  # noqa: B023
    return timed.medians()


def _decide(sweep: Book, sampler: str, pruner: str) -> None:
    sweep.spec = sweep.spec.model_copy(update={"sampler": sampler, "pruner": pruner})
    sweep.optuna_study.pruner = search.pruner(pruner)


def recording(repeats: int) -> Costs:
    """What delivering a trial's records to MLflow's SQLite takes."""
    timed = Stopwatch()
    with empty_folder() as folder:
        store = connection.connect(f"sqlite:///{folder / 'mlflow.db'}", "--tracking-uri", "benchmark")
        for repeat in range(repeats + 1):
            place = folder / str(repeat)
            _record(place)
            timed("MLflow", Delivery(place, store).drain)
    return timed.medians()


def _record(folder: Path) -> None:
    outbox = Outbox(folder)
    outbox.begin(folder.name, f"trial {folder.name}", {f"parameter_{i}": i for i in range(8)}, {"sweep": "benchmark"})
    outbox.content("config.json", b"{}")
    for step in range(STEPS):
        outbox.numbers(step, {f"group/metric_{key}": step + key / 10 for key in range(KEYS)})
    outbox.picture("samples", STEPS, PICTURE)
    outbox.note("a trial")
    outbox.end("FINISHED", {"outcome": "complete"})


def measure(quick: bool = False) -> Iterator[Figure]:
    """The parts, and from which length of trials on each of them keeps up with 1,000 workers."""
    repeats, sizes = (QUICK_REPEATS, QUICK_ENDED) if quick else (REPEATS, ENDED)
    costs: dict[str, float] = {}
    with empty_folder() as folder:
        urls = {size: f"sqlite:///{folder / f'{size}.db'}" for size in sizes}
        yield from _decisions("SQLite", urls, repeats, costs)
    if server := os.environ.get(book.POSTGRESQL):
        with book.databases(server, sizes) as (name, urls):
            yield from _decisions(name, urls, repeats, costs)
    else:
        yield Figure("deciding on PostgreSQL", f"not measured: {book.POSTGRESQL} is not set")
    processor, clock = recording(repeats)["MLflow"]
    costs["MLflow on SQLite"] = processor
    yield Figure(
        f"MLflow on SQLite: a trial with {STEPS * KEYS} points and a picture",
        f"{processor * 1e3:.0f} ms of the processor, {clock * 1e3:.0f} ms on the clock",
    )
    for workers, trials in (growth.WORKERS, 1_000), (WORKERS, 2_000):
        trials = trials // 4 if quick else trials
        options = ("--workers", str(workers), "--trials", str(trials), "--every", str(trials // 4))
        took = growth.milliseconds(growth.play(*options, "--reports", str(REPORTS))) / 1e3
        costs[f"supervisor with {workers:,} simulated workers, by chance"] = took
    yield from model(costs)


def _decisions(name: str, urls: Mapping[int, str], repeats: int, costs: dict[str, float]) -> Iterator[Figure]:
    for size, url in urls.items():
        took = deciding(url, size, repeats)
        shown = (f"{part} {processor * 1e3:.1f} ({clock * 1e3:.1f})" for part, (processor, clock) in took.items())
        yield Figure(
            f"{name}, {RUNNING} run, {size:,} have ended: ms of the processor (and on the clock)", ", ".join(shown)
        )
        for sampler, pruner in (("random", "none"), ("tpe", "median")):
            parts = (took[f"ask, {sampler}"], took["tell"], *[took[f"report, {pruner}"]] * REPORTS)
            which = 0 if name == "SQLite" else 1  # a server's work is not in our processor time
            costs[f"{name}, {size:,} ended: {sampler}, pruner {pruner}"] = sum(part[which] for part in parts)


def model(costs: Mapping[str, float]) -> Iterator[Figure]:
    """On paper: what each part stands, alone on a core."""
    for part, seconds in costs.items():
        yield Figure(
            f"keeps up: {part}",
            f"{seconds * 1e3:.0f} ms a trial: {1 / seconds:.1f} trials a second; with {growth.WORKERS} workers trials "
            f"from {seconds * growth.WORKERS:.1f} s, with {WORKERS:,} from {seconds * WORKERS:.0f} s",
        )
