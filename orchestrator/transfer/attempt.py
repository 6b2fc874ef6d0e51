"""Making a sweep of a packed one, or nothing: what was made of it is undone where it fails, or later where it was killed.

An attempt has a folder, with a lock that the system frees when its process is gone, and a note of what it makes.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel, ValidationError

from orchestrator import files
from orchestrator.layout import SWEEPS
from orchestrator.search import book as books
from orchestrator.search import home, study_copy
from orchestrator.stores import optuna_storage, sqlite, urls
from orchestrator.stores.optuna_storage import Storage
from orchestrator.tracking import connection
from orchestrator.transfer.carry import title

FOLDER = ".unpack-"  # begins the names of their folders, beside those of sweeps
NOTE, LOCK = "attempt.json", "attempt.lock"


class Attempt(BaseModel, frozen=True):
    """What is being made, and where. It holds no password."""

    id: str  # of the new sweep
    name: str
    experiment: str
    storage: str  # as urls.shown has it
    tracking_uri: str
    model: bool  # whether the registry is to have a model of this name

    @contextmanager
    def running(self, place: Path, storage: Storage) -> Iterator[Path]:
        """The attempt's folder, in the home ``place``, inside the block; what was made is undone where the block fails."""
        folder = place / SWEEPS / f"{FOLDER}{self.id}"
        folder.mkdir(parents=True)
        with FileLock(folder / LOCK):
            files.replace(folder / NOTE, self.model_dump_json().encode())
            try:
                yield folder
            except BaseException:
                with suppress(Exception):  # a store may be away now; then the next attempt here clears this one
                    self.undo(place, optuna_storage.reopened(storage, create=False))
                    shutil.rmtree(folder)
                    folder.parent.rmdir()  # where nothing else is in it
                raise
            shutil.rmtree(folder)

    def undo(self, place: Path, storage: Storage) -> None:
        """Remove all that was made, unless it is a sweep by now."""
        spec = books.find(storage, self.name) if self.name in books.names(storage) else None
        if spec is None or spec.id != self.id:
            self._forget_runs()
            study_copy.discard(storage, title(self.id))
            if home.identity(place / SWEEPS / self.name).get("id") == self.id:
                shutil.rmtree(place / SWEEPS / self.name)

    def _forget_runs(self) -> None:
        if sqlite.absent(self.tracking_uri):
            return
        store = connection.find(self.tracking_uri, "--tracking-uri", self.experiment, "")
        if store is None:
            return
        from orchestrator.tracking import model_copy, run_copy

        run_copy.discard(store, self.id)
        if self.model:
            model_copy.discard(store, self.name)


def clear(place: Path, storage: Storage) -> None:
    """Undo attempts in the home ``place`` that were killed, as far as they were made in this storage."""
    for folder in (place / SWEEPS).glob(f"{FOLDER}*"):
        with suppress(Timeout, OSError, ValidationError), FileLock(folder / LOCK, timeout=0):
            attempt = Attempt.model_validate_json((folder / NOTE).read_bytes())
            if attempt.storage == urls.shown(str(storage.url)):
                attempt.undo(place, storage)
                shutil.rmtree(folder)
