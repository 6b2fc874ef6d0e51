"""MLflow's own database: its tables, which MLflow makes in a hundred steps, and how it or a server is opened."""

from pathlib import Path
from typing import Any

from mlflow.store.db import utils as database_utils
from mlflow.store.db.utils import _get_latest_schema_revision
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking._tracking_service.utils import _get_sqlalchemy_store
from mlflow.utils import rest_utils
from sqlalchemy import event

from orchestrator.stores import answers, artifact_locations, failures, sqlite


def make(uri: str) -> None:
    """Make the tables that are not there, as MLflow does when it first opens a database; leaves no connection open."""
    respect_escapes()
    engine = SqlAlchemyStore._get_or_create_engine(uri)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _in_haste)
        engine.dispose()
    store: Any = _get_sqlalchemy_store  # untyped
    try:
        store(uri, artifact_locations.locate(Path(artifact_locations.RUNS).absolute()))
    finally:
        engine.dispose()
        SqlAlchemyStore._engine_map.pop(uri, None)


def respect_escapes() -> None:
    """From now on MLflow makes a SQLite file's own folder: it takes %25 in an address for letters of another folder's name."""
    utils: Any = database_utils  # untyped
    utils._make_parent_dirs_if_sqlite = _make_folder


def _make_folder(uri: str) -> None:
    if file := sqlite.file(uri):
        file.parent.mkdir(parents=True, exist_ok=True)


def revision() -> str:
    """What the table alembic_version says when all tables are made."""
    latest: Any = _get_latest_schema_revision  # untyped
    return str(latest())


def prepare(store: object) -> None:
    """Put the database of MLflow's own ``store`` into write-ahead logging where it is a SQLite file.

    Artifacts of its new experiments are put where MLflow finds them, whatever the folder is called. A server's empty answers
    are errors from now on.
    """
    answers.refuse_empty(rest_utils)
    if engine := getattr(store, "engine", None):  # a server's client has none
        sqlite.prepare(engine)
        failures.trace(engine)
    root = getattr(store, "artifact_root_uri", "")
    if root.startswith("/"):
        vars(store)["artifact_root_uri"] = artifact_locations.locate(Path(root))


def _in_haste(connection: Any, record: Any) -> None:
    """A file that is thrown away unless it becomes whole need not be safe before."""
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA journal_mode=MEMORY")
