"""SQLite files that may only be read, such as those of another user or on a read-only disk.

SQLite keeps files beside a database in write-ahead logging. Where it cannot make them, a snapshot in a temporary folder is
read instead, with what is ahead of the file. It is gone with the process.
"""

import os
import shutil
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestrator.stores import sqlite

_sources: dict[Path, Path] = {}  # snapshots of this process, and what they are of


def is_read_only(path: Path | None) -> bool:
    """Whether there is a file at ``path`` that this process may read and not write, or cannot keep files beside."""
    if path is None or not os.access(path, os.R_OK):
        return False
    return not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def readable(uri: str) -> str:
    """The address of a snapshot of the SQLite file at ``uri``, if it may only be read; else ``uri``."""
    path = sqlite.file(uri)
    return sqlite.address(_snapshot(path)) if path is not None and is_read_only(path) else uri


def readable_file(path: Path) -> Path:
    """The same for a file."""
    return _snapshot(path) if is_read_only(path) else path


def source(path: Path) -> Path:
    """The file that a snapshot is of; other files as they are."""
    return _sources.get(path, path)


def connect(path: Path) -> sqlite3.Connection:
    """A connection that only reads: to the file itself, so that changes by others are seen, or to a snapshot of it."""
    if _opens(path):
        return sqlite3.connect(_address(path), timeout=sqlite.WAIT_SECONDS, uri=True, check_same_thread=False)
    return sqlite3.connect(_address(_snapshot(path)), uri=True, check_same_thread=False)


def _address(path: Path) -> str:
    return f"{path.absolute().as_uri()}?mode=ro"


def _opens(path: Path) -> bool:
    """Whether SQLite reads the file where it is: that needs the files beside it, or a folder to make them in."""
    try:
        with closing(sqlite3.connect(_address(path), uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.OperationalError:
        return False
    return True


def _snapshot(path: Path) -> Path:
    return Path(_folder(path).name, path.name)


@cache
def _folder(path: Path) -> "TemporaryDirectory[str]":
    """A temporary folder with a copy of the file, one a process."""
    folder = TemporaryDirectory(prefix="sweep-")
    copy = Path(folder.name, path.name)
    _sources[copy] = path
    if _opens(path):
        with closing(sqlite3.connect(_address(path), uri=True)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    else:  # nobody has it open, so file and log fit
        for name in (path.name, f"{path.name}-wal"):
            if path.with_name(name).exists():
                shutil.copyfile(path.with_name(name), copy.with_name(name))
    return folder
