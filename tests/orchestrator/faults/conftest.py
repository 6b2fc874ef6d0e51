"""The places in which sweeps are broken."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.place import Place, files


@pytest.fixture(params=["files", "servers"])
def place(request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """With SQLite files; and with PostgreSQL and an MLflow server that asks who one is."""
    stores = files(folder)
    if request.param == "servers":
        postgresql = request.getfixturevalue("postgresql")
        server = request.getfixturevalue("mlflow_server")("postgresql")
        stores = {"SWEEP_STORAGE": postgresql.database(), "MLFLOW_TRACKING_URI": server.address}
        stores |= postgresql.environment | server.environment
    for name, value in stores.items():
        monkeypatch.setenv(name, value)
    made = Place(folder, stores)
    yield made
    made.close()
