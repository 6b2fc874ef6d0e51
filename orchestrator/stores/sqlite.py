"""SQLite as both stores need it: readers and a writer at once, and a commit that costs milliseconds.

``prepare`` is called with every engine that is opened here, Optuna's and MLflow's alike. Its connections are put into
write-ahead logging with synchronous=NORMAL: a crash of the machine may cost the last commits, a crash of a process costs
none, and the file stays whole in both.
"""

import atexit
import os
import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from weakref import WeakSet

from sqlalchemy import Engine, event

_open: "WeakSet[Any]" = WeakSet()  # connections of this process

PREFIX = "sqlite:///"  # of an address
ROOM = 65_536  # bytes: the -shm takes half of it
WAIT_SECONDS = 30  # for another process's write, before "database is locked"


def absolute(uri: str) -> str:
    """A SQLite address that means the same file from every folder; others as they are."""
    _, query, settings = uri.partition("?")
    return address(Path(_path(uri)).absolute()) + query + settings if uri.startswith(PREFIX) else uri


def address(path: Path) -> str:
    """The address of the SQLite file at ``path``."""
    return PREFIX + escaped(str(path))


def escaped(path: str) -> str:
    """A path as it stands in an address: what would end it there, or stand for another letter, is escaped."""
    return re.sub(r"%(?=[0-9A-Fa-f]{2})", "%25", path).replace("?", "%3F")


def file(uri: str) -> Path | None:
    """The SQLite file at an address; None for other stores, and for one in memory."""
    path = _path(uri) if uri.startswith(PREFIX) else ""
    return Path(path).absolute() if path and path != ":memory:" else None


def _path(uri: str) -> str:
    return unquote(uri.removeprefix(PREFIX).partition("?")[0])


def prepare(engine: Engine) -> None:
    """Put the connections of ``engine`` into write-ahead logging, if it is a SQLite file's; those that it has are made anew."""
    in_file = engine.dialect.name == "sqlite" and engine.url.database not in (None, "", ":memory:")
    if in_file and not event.contains(engine, "connect", _connected):
        event.listen(engine, "do_connect", _connect)
        event.listen(engine, "connect", _connected)
        engine.dispose()
        _close_at_exit()


def _connect(dialect: Any, record: Any, arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """A connection to a file that is there: where its folder was moved, none is made anew."""
    place, *others = arguments
    if str(place).startswith("file:"):
        return None  # it says itself what is to be made
    uri = f"{Path(place).absolute().as_uri()}?mode=rw"
    return dialect.loaded_dbapi.connect(uri, *others, **{**options, "uri": True})


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


def fold(path: Path) -> None:
    """Have all of the SQLite file at ``path`` be in that one file, with nothing ahead of it; nobody may write to it any more."""
    part = path.with_name(f"{path.name}.part")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(part)) as copy:
        source.backup(copy)
    part.replace(path)
    for ahead in ("-wal", "-shm"):
        path.with_name(f"{path.name}{ahead}").unlink(missing_ok=True)


def absent(url: str) -> bool:
    """Whether ``url`` is a SQLite file that is not there."""
    path = file(url)
    return path is not None and not path.exists()


def tables(path: Path, write: bool) -> set[str]:
    """The tables in the file, to ``write`` to it once nobody else does; raises sqlite3.Error."""
    with closing(sqlite3.connect(path, timeout=WAIT_SECONDS)) as connection:
        if write:
            connection.execute("BEGIN IMMEDIATE")
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        found = {str(name) for (name,) in names}
        connection.rollback()
        return found


def log_ahead(path: Path) -> None:
    """Put the file into write-ahead logging; raises sqlite3.Error."""
    with closing(sqlite3.connect(path, timeout=WAIT_SECONDS)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def damage(path: Path) -> str:
    """What SQLite says of the file, or its own quick check of the whole of it finds first; '' where the file is whole."""
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", timeout=WAIT_SECONDS, uri=True)
        ) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            text = " ".join(str(found).removeprefix("*** in database main ***").split())
            return "" if text == "ok" else f"malformed: {text[:200]}"
    except sqlite3.DatabaseError as error:
        return str(error)


def is_full(path: Path) -> bool:
    """Whether the file's disk has no room for what SQLite keeps beside a file."""
    try:
        disk = os.statvfs(path)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < ROOM


def obstacle(path: Path) -> str:
    """Why the file cannot be used whatever is in it, with the way out; '' where the file system is not the reason."""
    folder = path.absolute().parent
    if path.is_dir():
        return "is a folder; give a file in it, or move it away"
    if not folder.is_dir():
        return f"lies in a folder that is not there; make it: mkdir -p {folder}"
    if path.exists() and not os.access(path, os.R_OK):
        return f"may not be read by you; let its owner say: chmod a+r {path}"
    if path.exists() and not os.access(path, os.W_OK):
        return f"may only be read; make it writable: chmod u+w {path}"
    if not os.access(folder, os.W_OK):
        return f"lies in a folder that may only be read, and SQLite keeps files beside it; chmod u+w {folder}"
    return ""
