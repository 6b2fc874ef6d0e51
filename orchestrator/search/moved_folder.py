"""A folder of sweeps that was moved or copied, as a new sweep in it and its pages need it: see moved.py."""

from contextlib import suppress
from pathlib import Path

from orchestrator.errors import UserError
from orchestrator.layout import IDENTITY, RESERVED, SWEEPS
from orchestrator.search import book as books
from orchestrator.search import moved
from orchestrator.stores.optuna_storage import Storage


def settle(here: Path, storage: Storage, tracking_uri: str) -> None:
    """Have the MLflow file of a home know where it is; UserError where that is needed and cannot be.

    ``storage`` knows where sweeps of earlier versions were.
    """
    folders = [path for path in (here / SWEEPS).glob("*") if path.is_dir() and path.name not in RESERVED]
    earlier = {path.name for path in folders if not (path / IDENTITY).exists()}
    if earlier:
        for name in earlier.intersection(books.names(storage)):
            with suppress(UserError):  # it is said to who asks for that sweep
                books.load(storage, name)
    if reason := moved.settle(here, tracking_uri):
        raise UserError(reason)
