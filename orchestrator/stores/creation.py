"""Making the tables of a store: one process at a time does it, and others find all of them or none.

A SQLite file is made beside its place, and comes there when it is whole. In PostgreSQL tables are made under a lock of the
database. So a process that is killed leaves nothing that the next one stumbles over. Other programs, such as `mlflow ui`, know
no lock and make tables in their place: what they are making is waited for, and a file that they left half-made is moved aside.
"""

import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock
from sqlalchemy import Connection, NullPool, create_engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from orchestrator.stores import sqlite

BOOKKEEPING = {"alembic_version", "version_info", "workspaces"}  # have rows while tables are still being made
SIBLINGS = ("-wal", "-shm", "-journal")  # end the names of what SQLite keeps beside a file
LOCK_KEY = 0x53776565705462  # of the advisory lock, the same for all processes
PAUSE = 0.2  # seconds between two looks at what another program makes
TRIES = 50  # at making tables that another program makes at the same moment, which takes it some seconds
# What PostgreSQL answers then: it is there already, or a deadlock.
MADE_BY_ANOTHER = ("23505", "40P01", "42701", "42710", "42P07")


@dataclass(frozen=True)
class Schema:
    """The tables of a store."""

    content: str  # the table of what the store is for
    make: Callable[
        [str], None
    ]  # makes the tables at an address, where they are not there, and leaves no connection open
    revision: Callable[[], str]  # what the table alembic_version says when all are made; "" for anything


def ensure(url: str, schema: Schema) -> None:
    """Make the tables at ``url`` where they are not. Raises OSError, SQLAlchemyError, or whatever ``schema.make`` raises."""
    path = sqlite.file(url)
    if path is not None:
        _ensure_file(path.resolve(), schema)  # past links: what is made beside it must lie on its disk
    elif make_url(url).get_backend_name() == "postgresql":
        with _connected(url) as connection:
            made = _has_content(connection, schema)
        if not made:  # a new transaction, which reads no table: making alters tables, and waits for their readers
            with _connected(url) as connection:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
                _make_beside_others(url, schema)


def is_made(url: str, schema: Schema) -> bool:
    """Whether there is something to open at ``url``: not an absent or half-made SQLite file, nor an empty database."""
    path = sqlite.file(url)
    if path is not None:
        return _is_made(path.resolve(), schema)
    with _connected(url) as connection:
        return inspect(connection).has_table(schema.content)


def _ensure_file(path: Path, schema: Schema) -> None:
    if _is_made(path, schema):
        return
    lock = path.with_name(f".{path.name}.lock")
    with FileLock(lock):
        while not _is_made(path, schema):
            if _is_open(path):
                time.sleep(PAUSE)
            else:
                _move_aside(path)
                _make_file(path, schema)
        lock.unlink(missing_ok=True)  # who has waited for it finds the store made


def _make_file(path: Path, schema: Schema) -> None:
    """Make the file, unless another program has begun to."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    _remove(unfinished)  # of a process that was killed
    try:
        schema.make(sqlite.address(unfinished))
        with closing(sqlite3.connect(unfinished)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")  # now: with others at the file, this could fail
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            _link(unfinished, path)
    finally:
        _remove(unfinished)


def _link(source: Path, target: Path) -> None:
    """Give a file its second name. Raises FileExistsError where that is taken."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # there are file systems without links
        if target.exists():
            raise FileExistsError(target) from None
        source.rename(target)


def _remove(path: Path) -> None:
    for suffix in ("", *SIBLINGS):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _move_aside(path: Path) -> None:
    """Give a half-made file, and what SQLite keeps beside it, another name."""
    if path.exists() and not path.stat().st_size:
        path.unlink()
    names = [f"{path.name}.half-made", *(f"{path.name}.half-made-{number}" for number in range(2, 1000))]
    aside = next(path.with_name(name) for name in names if not path.with_name(name).exists())
    if path.exists():
        print(
            f"{path.name} was left half-made and holds nothing; it is kept as {aside.name}, and a new one is made",
            file=sys.stderr,
        )
    for suffix in (*SIBLINGS, ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))


def _is_made(path: Path, schema: Schema) -> bool:
    """Whether the file holds anything, or all of its tables. True for a file that cannot be read: opening it tells why."""
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=sqlite.WAIT_SECONDS)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if schema.content in tables and _has_rows(connection, schema.content):
                return True
            if any(_has_rows(connection, table) for table in tables - BOOKKEEPING):
                return True
            if "alembic_version" not in tables:
                return False
            revisions = {revision for (revision,) in connection.execute("SELECT version_num FROM alembic_version")}
            wanted = schema.revision()
            return wanted in revisions if wanted else bool(revisions)
    except sqlite3.Error:
        return path.exists()


def _has_rows(connection: sqlite3.Connection, table: str) -> bool:
    return connection.execute(f'SELECT 1 FROM "{table}" LIMIT 1').fetchone() is not None


def _is_open(path: Path) -> bool:
    """Whether another process has the file open."""
    if not path.exists():
        return False
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and any(Path(file.path) == path for file in process.open_files()):
                return True
    return False


def _make_beside_others(url: str, schema: Schema) -> None:
    """Make the tables of a database; what another program makes there at the same moment is waited for."""
    for attempt in range(TRIES):
        try:
            return schema.make(url)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in MADE_BY_ANOTHER or attempt == TRIES - 1:
                raise
        time.sleep(PAUSE)


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    """A connection of its own, in a transaction."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection, connection.begin():
        yield connection


def _has_content(connection: Connection, schema: Schema) -> bool:
    return (
        inspect(connection).has_table(schema.content)
        and connection.execute(text(f"SELECT 1 FROM {schema.content} LIMIT 1")).first() is not None
    )
