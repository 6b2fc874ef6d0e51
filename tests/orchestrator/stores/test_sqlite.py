"""SQLite files of both stores: write-ahead logging on every connection, and one whole file when the process is gone."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from orchestrator.stores import optuna_storage, sqlite
from orchestrator.tracking import connection
from tests.support.paths import ROOT

NORMAL = 1  # of PRAGMA synchronous


def settings(engine: Engine) -> tuple[str, int, int]:
    """Of a connection of the engine: how it logs, how it waits for the disk, how many milliseconds for another writer."""
    with engine.connect() as connection:
        mode, synchronous, wait = (
            connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        )
    return str(mode), int(synchronous), int(wait)


def test_optunas_storage_is_in_write_ahead_logging(folder: Path) -> None:
    storage = optuna_storage.connect("sqlite:///sweeps.db")
    assert settings(storage.engine) == ("wal", NORMAL, sqlite.WAIT_SECONDS * 1000)


def test_mlflows_store_is_in_write_ahead_logging(folder: Path) -> None:
    store = connection.connect(f"sqlite:///{folder / 'mlflow.db'}", "--tracking-uri", "toy")
    engine = store.client._tracking_client.store.engine
    assert settings(engine)[:2] == ("wal", NORMAL)


def test_a_file_that_was_moved_is_not_made_anew(folder: Path) -> None:
    storage = optuna_storage.connect("sqlite:///sweeps.db")
    storage.engine.dispose()
    Path("sweeps.db").rename("moved.db")
    with pytest.raises(OperationalError, match="unable to open database file"), storage.engine.connect():
        pass
    assert not Path("sweeps.db").exists()


@pytest.mark.parametrize("name", ["a%20b", "a?b", "a#b", "50%", "ü – ۱", "a%2520", "%%41", "a&b=c", "n\nx"])
def test_an_address_leads_to_its_file_whatever_the_folder_is_called(name: str, tmp_path: Path) -> None:
    """In an address a question mark begins settings, and a per cent sign an escaped letter."""
    path = tmp_path / name / "some.db"
    path.parent.mkdir()
    address = sqlite.address(path)
    with create_engine(address).connect():
        assert path.exists()
    assert sqlite.file(address) == path and sqlite.absolute(address) == address
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_relative_address_is_made_absolute(folder: Path) -> None:
    assert sqlite.absolute("sqlite:///a%20b.db?timeout=5") == f"sqlite:///{folder}/a b.db?timeout=5"
    assert sqlite.file("sqlite:///a%20b.db?timeout=5") == folder / "a b.db"


def test_an_engine_is_prepared_once(folder: Path) -> None:
    Path("some.db").touch()
    engine = create_engine("sqlite:///some.db")
    sqlite.prepare(engine)
    with engine.connect() as connection:
        before = connection.connection.dbapi_connection
    sqlite.prepare(engine)
    with engine.connect() as connection:
        assert connection.connection.dbapi_connection is before, "its connections are not made anew again"


def test_engines_of_others_are_left_alone(folder: Path) -> None:
    optuna_storage.connect("sqlite:///sweeps.db")
    assert settings(create_engine("sqlite:///other.db"))[0] == "delete"


@pytest.mark.parametrize("store", ["sweeps.db", "mlflow.db"])
def test_who_leaves_last_folds_the_log_into_the_file(folder: Path, store: str) -> None:
    """A thread still holds a connection, as a courier's does: the file alone is all when the process is gone."""
    opened = {
        "sweeps.db": "from orchestrator.stores import optuna_storage\n"
        "engine = optuna_storage.connect('sqlite:///sweeps.db').engine\n",
        "mlflow.db": "from orchestrator.tracking import connection\n"
        f"store = connection.connect('sqlite:///{folder}/mlflow.db', '--tracking-uri', 'toy')\n"
        "engine = store.client._tracking_client.store.engine\n",
    }
    code = f"""{opened[store]}
from sqlalchemy import text
connection = engine.connect()
connection.execute(text("create table mark (x integer)"))
connection.commit()
from pathlib import Path
assert Path("{store}-wal").stat().st_size
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder, env={"PYTHONPATH": str(ROOT)}, timeout=300)
    assert not list(folder.glob("*-wal"))
    with sqlite3.connect(f"file:{store}?mode=ro&immutable=1", uri=True) as read:
        assert read.execute("select count(*) from mark").fetchone() == (0,)
    read.close()
