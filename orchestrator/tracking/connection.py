"""Opening the tracker. MLflow is imported here, when it is first needed: the import takes a second."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.errors import UserError
from orchestrator.stores import sqlite, urls

if TYPE_CHECKING:
    from orchestrator.tracking.mlflow_store import MlflowStore

# MLflow reads these when it is imported. What you set yourself stays.
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # a server's, at the end of every run
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the courier tries again, and again
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # seconds
}


def connect(uri: str, option: str, experiment: str, parent_run: str = "") -> "MlflowStore":
    """The tracker at ``uri``, its tables made, new runs going to ``experiment``; UserError where it cannot be had.

    Below ``parent_run`` the experiment is the one of that run: runs elsewhere would not be shown below it.
    """
    with _opening(uri, option):
        store = _store(uri)
        if parent_run:
            store.follow(parent_run)
        else:
            store.make_experiment(experiment)
        return store


def find(uri: str, option: str, experiment: str, run: str) -> "MlflowStore | None":
    """The tracker at ``uri`` as it stands, at the experiment of ``run``, else the named one; None where there is neither.

    Nothing is made. UserError where it cannot be had.
    """
    if sqlite.absent(uri):
        return None
    with _opening(uri, option):
        store = _store(uri)
        if run and store.record(run) is not None:
            store.follow(run)
            return store
        return store if store.find_experiment(experiment, deleted=True) else None


def open_store(uri: str, option: str) -> "MlflowStore":
    """The tracker at ``uri``, to look at any experiment; UserError where it cannot be had."""
    with _opening(uri, option):
        return _store(uri)


def unreachable() -> tuple[type[Exception], ...]:
    """The errors of opening a tracker that is out of reach and of reading from it, for an ``except`` clause."""
    from orchestrator.tracking.mlflow_store import AWAY

    return UserError, *AWAY


def _store(uri: str) -> "MlflowStore":
    """Import MLflow, quiet and quick to give up."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    from orchestrator.tracking.mlflow_store import MlflowStore

    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # What it logs it raises as well, with a traceback of a full disk for each try: the courier tells it in a sentence.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    return MlflowStore(uri, "")


@contextmanager
def _opening(uri: str, option: str) -> Iterator[None]:
    """Say any failure as a UserError that names ``option``."""
    if "://" in uri and not uri.startswith(("http:", "https:", "file:")):
        urls.check(uri, option)
    try:
        yield
    except Exception as error:  # a store may fail in as many ways as there are stores
        raise urls.unopened(uri, option, error) from None
