"""The tables of MLflow's database, which MLflow makes in a hundred steps."""

from pathlib import Path
from typing import Any

from mlflow.store.db.utils import _get_latest_schema_revision
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking._tracking_service.utils import _get_sqlalchemy_store
from sqlalchemy import event

from orchestrator.stores import artifact_locations


def make(uri: str) -> None:
    """Make the tables that are not there, as MLflow does when it first opens a database; leaves no connection open."""
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


def revision() -> str:
    """What the table alembic_version says when all tables are made."""
    latest: Any = _get_latest_schema_revision  # untyped
    return str(latest())


def _in_haste(connection: Any, record: Any) -> None:
    """A file that is thrown away unless it becomes whole need not be safe before."""
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA journal_mode=MEMORY")
