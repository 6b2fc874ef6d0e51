"""Optuna's storage: which one is meant, and how it is opened."""

import os
from functools import partial
from typing import Any

import optuna
import sqlalchemy.exc
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage

from orchestrator.stores import failures, opening, read_only, sqlite, urls

Storage = RDBStorage  # where sweeps are kept: other files need no word of Optuna
DEFAULT_STORAGE = "sqlite:///sweeps.db"
UNWRITABLE = (
    StorageInternalError,
    sqlalchemy.exc.OperationalError,
)  # what writing raises where the storage takes no more


def meant(url: str | None, create: bool = False) -> Storage:
    """The storage that is meant: at ``url``, else where SWEEP_STORAGE says, else sweeps.db in this folder. See connect."""
    if url:
        return connect(urls.public(url, "--storage"), create=create)
    # Read here, not by click: `mlflow run` passes an empty --storage, which must not hide the variable.
    return connect(os.environ.get("SWEEP_STORAGE") or DEFAULT_STORAGE, "SWEEP_STORAGE", create=create)


def connect(url: str, option: str = "--storage", create: bool = True) -> Storage:
    """The storage at ``url``, its tables made; UserError where it cannot be had.

    Where a SQLite file is absent and not to be created, an empty storage in memory: there is nothing to see. One that may
    only be read is opened to read, unless it were to be created.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if not create and sqlite.absent(url):
        return RDBStorage("sqlite:///:memory:")
    file = sqlite.file(url)
    if not create and file is not None and read_only.is_read_only(file):
        return RDBStorage(url, engine_kwargs={"creator": partial(read_only.connect, file)})
    opening.check(url, option, opening.OPTUNA)
    # A connection that a server or a firewall has cut meanwhile is noticed and made anew.
    settings: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("sqlite"):
        settings["connect_args"] = {"timeout": sqlite.WAIT_SECONDS}  # while the tables are made, too
    try:
        storage = RDBStorage(url, engine_kwargs=settings)
    except (sqlalchemy.exc.SQLAlchemyError, RuntimeError, ImportError, ValueError) as error:
        raise failures.failure(url, option, error) from None
    failures.trace(storage.engine)
    sqlite.prepare(storage.engine)
    return storage


def unwritable(error: Exception) -> str:
    """One of UNWRITABLE in a sentence."""
    return f"the storage cannot be written: {failures.of_store(error) or error}"
