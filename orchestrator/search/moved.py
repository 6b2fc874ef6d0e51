"""What follows a sweep whose home was moved or copied: the locations of artifacts in the home's own MLflow file."""

import sqlite3
from pathlib import Path

from filelock import FileLock, Timeout

from orchestrator.files import CannotWrite
from orchestrator.layout import DRIVER_LOCK, SWEEPS
from orchestrator.search import home
from orchestrator.search.spec import Spec
from orchestrator.stores import artifact_locations, sqlite


def follow(spec: Spec, before: Path) -> None:
    """Have MLflow's file know where the artifacts of a sweep are, if its home is not where it was last time.

    ``before`` is the home in which it was stored. Nothing is done while somebody drives a sweep of this home: a container
    may see the same folder at another path. What cannot be written stays: see artifact_locations.beside.
    """
    here, folder = home.home_of(spec), Path(spec.folder)
    noted = home.identity(folder)
    last = Path(noted.get("home", before))
    if last == here or not folder.is_dir() or noted.get("id", spec.id) != spec.id:
        return
    try:
        if not _driven(here):
            move(sqlite.file(spec.tracking_uri), last, here)
            home.mark(spec)
    except (OSError, sqlite3.Error, CannotWrite):
        pass


def move(database: Path | None, last: Path, here: Path) -> None:
    """Change the locations in an MLflow file of this home. One elsewhere may serve the folder of which this is a copy."""
    if database is not None and database.exists():
        if database.resolve().is_relative_to(here.resolve()) or not last.exists():
            artifact_locations.move(database, last, here)


def _driven(here: Path) -> bool:
    """Whether a supervisor runs in this home, on this machine."""
    for path in (here / SWEEPS).glob(f"*/{DRIVER_LOCK}"):
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
    return False
