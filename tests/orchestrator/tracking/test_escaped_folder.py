"""A folder whose name looks like an escaped letter: nothing is made beside it."""

import os
from pathlib import Path

import pytest

from orchestrator.stores import sqlite
from orchestrator.tracking import connection


def test_no_folder_of_another_name_is_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = folder / "my%20ebm"
    place.mkdir()
    monkeypatch.chdir(place)
    store = connection.connect(sqlite.address(place / "mlflow.db"), "--tracking-uri", "toy")
    assert not store.has_champion("toy")  # which asks the registry, a store of its own
    assert os.listdir(folder) == ["my%20ebm"]
