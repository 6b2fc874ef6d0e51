"""What follows a sweep whose home was moved or copied: the locations of artifacts in the home's own MLflow file."""

import sqlite3
from pathlib import Path

from filelock import FileLock, Timeout

from orchestrator.files import CannotWrite
from orchestrator.layout import DRIVER_LOCK, IDENTITY, SWEEPS
from orchestrator.search import home
from orchestrator.search.spec import Spec
from orchestrator.stores import artifact_locations, failures, sqlite


def follow(spec: Spec, before: Path) -> str:
    """Have MLflow's file know where the artifacts of a sweep are, if its home is not where it was last time.

    ``before`` is the home in which it was stored. Returns why it could not be done, '' where all is well. What MLflow's file
    says is wrong then, so nothing may be written by it; artifact_locations.beside reads what is there.
    """
    here, folder = home.home_of(spec), Path(spec.folder)
    noted = home.identity(folder)
    last = Path(noted.get("home", before))
    if last.resolve() == here.resolve() or not folder.is_dir() or noted.get("id", spec.id) != spec.id:
        return ""
    return _move(spec.tracking_uri, last, here) or _mark(spec)


def settle(here: Path, tracking_uri: str) -> str:
    """The same for an MLflow file in this home, as all sweeps of the home know it."""
    noted = [home.identity(path.parent).get("home", "") for path in sorted((here / SWEEPS).glob(f"*/{IDENTITY}"))]
    before = {Path(last) for last in noted if last and Path(last).resolve() != here.resolve()}
    return next(filter(None, (_move(tracking_uri, last, here) for last in before)), "")


def _move(tracking_uri: str, last: Path, here: Path) -> str:
    """Change the locations in an MLflow file of this home. One elsewhere may serve the folder of which this is a copy."""
    database = sqlite.file(tracking_uri)
    if database is None or not database.exists():
        return ""
    if not database.resolve().is_relative_to(here.resolve()) and last.exists():
        return ""
    try:
        if _driven(here):
            return f"a sweep of {here} is being driven, for which the folder is {last}; wait until that has ended"
        artifact_locations.move(database, last, here)
    except (OSError, sqlite3.Error) as error:
        return (
            f"{failures.failure(tracking_uri, '--tracking-uri', error)}; it still says that the artifacts are in {last}"
        )
    return ""


def _mark(spec: Spec) -> str:
    try:
        home.mark(spec)
    except CannotWrite as error:
        return str(error)
    return ""


def _driven(here: Path) -> bool:
    """Whether a supervisor runs in this home, on this machine. A container may see the same folder at another path."""
    for path in (here / SWEEPS).glob(f"*/{DRIVER_LOCK}"):
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
    return False
