"""What deciding costs as a sweep grows: one ask, five reports with the pruner's answer and one tell, through our book.

The space is the ebm study's; sampler and pruner are as in orchestrator.search.samplers: TPE, multivariate, by groups, after six
trials by chance, with running trials counted as bad (Optuna's constant liar), and the median pruner. The same by chance, and
without a pruner, stands beside it: that is the storage's part, and the differences are the pruner's and TPE's.

Judged is growth: the cost of a trial must grow slower than the number of trials. On SQLite; and on PostgreSQL where
SWEEP_TEST_POSTGRESQL is the address of a server whose role may create databases, as tests/postgresql.sh has it.
"""

import math
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median

import sqlalchemy

from benchmarks import _trials
from benchmarks._figure import Figure, empty_folder
from orchestrator.messages import Ended
from orchestrator.search import book as books
from orchestrator.search import new_sweep
from orchestrator.search import samplers as search
from orchestrator.stores import optuna_storage

SIZES = (100, 1_000, 10_000)
REPORTS, REPEATS = 5, 15
WAYS = {
    "TPE, median pruner": ("tpe", "median"),
    "  by chance, median pruner": ("random", "median"),
    "  by chance, no pruner": ("random", "none"),
}
JUDGED = "TPE, median pruner"
POSTGRESQL = "SWEEP_TEST_POSTGRESQL"


def measure(quick: bool = False) -> Iterator[Figure]:
    """The cost at each size and how it grows, by storage and by who decides."""
    repeats = 2 if quick else REPEATS
    with empty_folder() as folder:
        yield from _measure("SQLite", {size: f"sqlite:///{folder / f'{size}.db'}" for size in SIZES}, repeats)
    server = os.environ.get(POSTGRESQL)
    if not server:
        yield Figure("deciding on PostgreSQL", f"not measured: {POSTGRESQL} is not set")
        return
    with databases(server, SIZES) as (name, urls):
        yield from _measure(name, urls, repeats)


def _measure(name: str, urls: Mapping[int, str], repeats: int) -> Iterator[Figure]:
    first, *_, last = SIZES
    took = {size: costs(url, size, repeats) for size, url in urls.items()}
    for way in WAYS:
        cost = [median(took[size][way]) for size in SIZES]
        powers = [math.log(cost[i + 1] / cost[i], SIZES[i + 1] / SIZES[i]) for i in range(len(SIZES) - 1)]
        growth, most = cost[-1] / cost[0], took[last][way]
        yield Figure(
            f"{name}: ask, {REPORTS} reports, tell; {way}" if way == JUDGED else way,
            f"{', '.join(f'{seconds * 1e3:.0f}' for seconds in cost)} ms at {', '.join(f'{size:,}' for size in SIZES)} trials"
            f" (the last {min(most) * 1e3:.0f} to {max(most) * 1e3:.0f}); × {growth:.1f},"
            f" exponents {' and '.join(f'{power:.2f}' for power in powers)}",
            f"× < {last // first}" if way == JUDGED else "",
            growth < last / first if way == JUDGED else None,
        )
    full, pruned, plain = (median(took[last][way]) for way in WAYS)
    shares = f"{1 - pruned / full:.0%} TPE's, {(pruned - plain) / full:.0%} the pruner's"
    yield Figure(f"  of the time at {last:,}", f"{shares}, {plain / full:.0%} the storage's and the book's")
    read = ", ".join(f"{took[size]['reading'][0]:.2f}" for size in SIZES)
    yield Figure("  reading all trials, once when a sweep is resumed", f"{read} s")


def costs(url: str, size: int, repeats: int) -> dict[str, list[float]]:
    """Seconds of a trial in a sweep with ``size`` finished ones, by way, and of reading these.

    The ways take turns, and the few trials that they add stay.
    """
    storage = optuna_storage.connect(url)
    book = new_sweep.create(storage, _trials.spec(size + len(WAYS) * (repeats + 1)))
    _trials.fill(storage, book, size)
    began = time.perf_counter()
    found = len(book.finished())
    took = {"reading": [time.perf_counter() - began]}
    if found != size:
        raise AssertionError(f"{found} of {size} trials are there")
    for repeat in range(repeats + 1):
        for way, (sampler, pruner) in WAYS.items():
            book.spec = book.spec.model_copy(update={"sampler": sampler, "pruner": pruner})
            book.optuna_study.pruner = search.pruner(pruner)
            seconds = trial(book)
            if repeat:  # the first one warms up
                took.setdefault(way, []).append(seconds)
    return took


def trial(book: books.Book) -> float:
    """One trial that trains nothing; returns the seconds that it took."""
    began = time.perf_counter()
    number = book.ask().number
    values = [_trials.value(number, index) for index in range(1, REPORTS + 1)]
    for index, value in enumerate(values, 1):
        book.report(number, index, (value,))
    book.tell(number, Ended("complete", (values[-1],), seconds=1.0))
    return time.perf_counter() - began


@contextmanager
def databases(server: str, sizes: Sequence[int]) -> Iterator[tuple[str, dict[int, str]]]:
    """What the PostgreSQL server is, and a fresh database on it for each size; they are gone afterwards."""
    address = sqlalchemy.make_url(server).set(drivername="postgresql+psycopg")
    engine = sqlalchemy.create_engine(address, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool)
    names = {size: f"benchmark_{uuid.uuid4().hex[:8]}_{size}" for size in sizes}
    with engine.connect() as connection:
        version, fsync = (connection.exec_driver_sql(f"SHOW {it}").scalar() for it in ("server_version", "fsync"))
        try:
            for name in names.values():
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
            urls = {size: address.set(database=name) for size, name in names.items()}
            text = {size: url.render_as_string(hide_password=False) for size, url in urls.items()}
            yield f"PostgreSQL {str(version).split()[0]}, fsync {fsync}", text
        finally:
            for name in names.values():
                connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
