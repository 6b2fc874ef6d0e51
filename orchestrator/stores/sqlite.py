"""SQLite as both stores need it: readers and a writer at once, and a commit that costs milliseconds.

``prepare`` is called with every engine that is opened here, Optuna's and MLflow's alike. Its connections are put into
write-ahead logging with synchronous=NORMAL: a crash of the machine may cost the last commits, a crash of a process costs
none, and the file stays whole in both.
"""

import atexit
import sqlite3
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any
from weakref import WeakSet

from sqlalchemy import Engine, event
from sqlalchemy.engine import make_url

from orchestrator.errors import UserError

_open: "WeakSet[Any]" = WeakSet()  # connections of this process

WAIT_SECONDS = 30  # for another process's write, before "database is locked"


def absolute(uri: str) -> str:
    """A SQLite address that means the same file from every folder; others as they are."""
    prefix = "sqlite:///"
    return prefix + str(Path(uri.removeprefix(prefix)).absolute()) if uri.startswith(prefix) else uri


def file(uri: str) -> Path | None:
    """The SQLite file at an address; None for other stores, and for one in memory."""
    path = absolute(uri).removeprefix("sqlite:///") if uri.startswith("sqlite:///") else ""
    return Path(path) if path and not uri.endswith(":memory:") else None


def prepare(engine: Engine) -> None:
    """Put the connections of ``engine`` into write-ahead logging, if it is a SQLite file's; those that it has are made anew."""
    in_file = engine.dialect.name == "sqlite" and engine.url.database not in (None, "", ":memory:")
    if in_file and not event.contains(engine, "connect", _connected):
        event.listen(engine, "connect", _connected)
        engine.dispose()
        _close_at_exit()


def _connected(connection: Any, record: Any) -> None:
    connection.execute(f"PRAGMA busy_timeout={WAIT_SECONDS * 1000}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    _open.add(record)


@cache
def _close_at_exit() -> None:
    """Once in a process."""
    atexit.register(_close)


def _close() -> None:
    """Whoever leaves last folds what is ahead of the file into it: then the file alone is all, and can be copied."""
    for record in list(_open):
        with suppress(Exception):  # on leaving, nobody could be told
            record.close()


def absent(url: str) -> bool:
    """Whether ``url`` is a SQLite file that is not there."""
    return url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists()


def check(url: str, option: str) -> None:
    """Raise UserError where the SQLite file at ``url``, given as ``option``, cannot be written."""
    path = make_url(url).database
    if not path or path == ":memory:":
        return
    try:
        with sqlite3.connect(path, timeout=WAIT_SECONDS) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
        connection.close()
    except sqlite3.Error as error:
        raise UserError(
            f"{option}={url} cannot be opened ({error}); give a file in a folder that you can write to"
        ) from None
