"""Where MLflow's SQLite file says that artifacts are. It holds absolute paths, which must follow a folder that was moved.

Read and written without MLflow, for commands that only list sweeps do this too.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from orchestrator.stores import read_only
from orchestrator.stores.sqlite import WAIT_SECONDS, file

COLUMNS = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}
RUNS = "mlruns"  # MLflow's folder of artifacts, in the folder where its file was made


def locate(path: Path) -> str:
    """A folder as MLflow is told of it: as it is, unless MLflow would take a part of its name for an escaped letter."""
    return str(path) if unquote(str(path)) == str(path) else path.as_uri()


def move(database: Path, before: Path, after: Path) -> None:
    """Have all locations below ``before`` lie below ``after`` instead, in one transaction; sqlite3.Error where it fails."""
    forms = [(str(before), locate(after)), (before.as_uri(), after.as_uri())]
    with closing(sqlite3.connect(database, timeout=WAIT_SECONDS, isolation_level=None)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        connection.execute("BEGIN IMMEDIATE")
        for table, columns in COLUMNS.items():
            for column in columns if table in tables else ():
                for old, new in forms:
                    connection.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?)"
                        f" WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                        (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
                    )
        connection.execute("COMMIT")


def follow(before: str, after: str) -> None:
    """Have the locations follow MLflow's SQLite file, which was at the address ``before``, if its artifacts moved with it.

    sqlite3.Error where it fails.
    """
    old, new = file(before), file(after)
    if old and new and (new.parent / RUNS).is_dir() and not (old.parent / RUNS).exists():
        move(new, old.parent / RUNS, new.parent / RUNS)


def elsewhere(database: Path, folder: Path) -> str:
    """A location of a run's or model's artifacts that is not below ``folder``; '' where all are."""
    with closing(sqlite3.connect(database)) as connection:
        for table in ("runs", "logged_models", "model_versions"):
            for (location,) in connection.execute(f"SELECT {COLUMNS[table][-1]} FROM {table}"):
                if location is not None and not _path(location).resolve().is_relative_to(folder.resolve()):
                    return str(location)
    return ""


def _path(location: str) -> Path:
    return Path(url2pathname(urlsplit(location).path) if location.startswith("file:") else location)


def beside(uri: str, location: str) -> str:
    """The artifacts of ``location`` that lie beside the SQLite file at ``uri``, where there are such; else ``location``.

    In a moved folder that may only be read, MLflow still says where they were.
    """
    database = file(uri)
    _, found, rest = location.rpartition(f"/{RUNS}/")
    path = database and read_only.source(database).parent / RUNS / rest
    return locate(path) if found and path and path.exists() else location
