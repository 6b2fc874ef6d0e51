"""Errors of stores: each cause has its own sentence, and what the sentence says works."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from optuna.storages import RDBStorage
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DatabaseError

from orchestrator.errors import UserError
from orchestrator.search import book as books
from orchestrator.stores import failures, optuna_storage, sqlite
from orchestrator.stores.causes import HTTP, POSTGRESQL, SCHEMA, SQLITE
from orchestrator.tracking import connection
from tests.support.processes import python

OPEN: dict[str, Callable[[], object]] = {
    "sweeps.db": lambda: books.names(optuna_storage.connect("sqlite:///sweeps.db")),
    "mlflow.db": lambda: connection.connect(f"sqlite:///{Path('mlflow.db').absolute()}", "--tracking-uri", "toy"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both databases, their tables made."""
    folder = tmp_path_factory.mktemp("whole")
    RDBStorage(f"sqlite:///{folder}/sweeps.db").engine.dispose()
    store = connection.connect(f"sqlite:///{folder}/mlflow.db", "--tracking-uri", "toy")
    store.client._tracking_client.store.engine.dispose()
    return folder


@pytest.fixture
def stores(folder: Path, whole: Path) -> Path:
    """The current folder, with copies of both databases."""
    for name in OPEN:
        shutil.copy(whole / name, folder)
    return folder


def refused(open_store: Callable[[], object]) -> str:
    """The sentence that opening a store ends with."""
    with pytest.raises(UserError) as error:
        open_store()
    assert "\n" not in str(error.value)
    return str(error.value)


def change(database: str, statement: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement)


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def version(number: str) -> Callable[[Path], None]:
    return lambda path: change(str(path), f"UPDATE alembic_version SET version_num = '{number}'")


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (
        lambda path: os.truncate(path, 20_000),
        r"is damaged \(.*put a back-up in its place, or move the file away",
    ),
    "a text": (lambda path: path.write_text("text " * 1000), r"is damaged \(file is not a database\); put a back-up"),
    "random": (lambda path: path.write_bytes(os.urandom(9000)), r"is damaged \(file is not a database\)"),
    "a folder": (directory, "is a folder; give a file in it, or move it away"),
    "another program's": (
        lambda path: (path.unlink(), change(str(path), "CREATE TABLE moz_places (x)")),
        r"is the database of another program \(with the tables moz_places\)",
    ),
}


@pytest.mark.parametrize("database", OPEN)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_database_that_is_damaged_is_named_and_left_as_it_is(stores: Path, database: str, damage: str) -> None:
    make, sentence = DAMAGE[damage]
    make(stores / database)
    before = (stores / database).read_bytes() if (stores / database).is_file() else b""
    with pytest.raises(UserError, match=sentence) as error:
        OPEN[database]()
    assert f"{database} is " in str(error.value) and "give an address" not in str(error.value)
    assert not before or (stores / database).read_bytes() == before
    assert ("`sweep doctor --repair`, which makes the runs again" in str(error.value)) == (
        database == "mlflow.db" and "damaged" in str(error.value)
    )


@pytest.mark.parametrize(
    ("database", "make", "sentence"),
    [
        (
            "sweeps.db",
            version("v3.0.0.d"),
            r"older Optuna; keep a copy of it, then type: optuna storage upgrade --storage sqlite:",
        ),
        ("sweeps.db", version("v9.0.0.a"), r"newer Optuna; install that version: pip install 'optuna>=\d"),
        (
            "mlflow.db",
            version("451aebb31d03"),
            r"older MLflow; keep a copy of it, then type: mlflow db upgrade sqlite:",
        ),
        ("mlflow.db", version("fedcba987654"), r"newer MLflow \(schema fedcba987654\); install that version"),
        (
            "sweeps.db",
            lambda path: shutil.copy("mlflow.db", path),
            "of MLflow; give it as --tracking-uri, and here one for Optuna",
        ),
        (
            "mlflow.db",
            lambda path: shutil.copy("sweeps.db", path),
            "of Optuna; give it as --storage, and here one for MLflow",
        ),
    ],
)
def test_a_database_of_another_version_or_program(
    stores: Path, database: str, make: Callable[[Path], object], sentence: str
) -> None:
    make(stores / database)
    before = list(sqlite3.connect(database).iterdump())
    with pytest.raises(UserError, match=sentence):
        OPEN[database]()
    assert list(sqlite3.connect(database).iterdump()) == before, "nothing is made in it"


@pytest.mark.parametrize("database", OPEN)
def test_a_database_that_is_locked_names_who_locks_it(
    stores: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "WAIT_SECONDS", 0.2)
    code = f"import sqlite3; c = sqlite3.connect({database!r}); c.execute('BEGIN EXCLUSIVE'); print(1, flush=True); input()"
    with subprocess.Popen(python("-c", code), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert f"is locked by process {other.pid} (" in refused(OPEN[database])
        other.kill()
    OPEN[database]()


def test_an_error_from_inside_tells_of_which_store_it_is(stores: Path) -> None:
    engine = create_engine(f"sqlite:///{stores}/sweeps.db")
    failures.trace(engine)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        with (stores / "sweeps.db").open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * 90_000)
        with pytest.raises(DatabaseError) as error:
            for table in ("trials", "studies", "trial_params"):
                connection.execute(text(f"SELECT * FROM {table}")).all()
    sentence = str(failures.of_store(error.value))
    assert sentence.startswith(f"sqlite:///{stores}/sweeps.db is damaged (") and "put a back-up" in sentence
    assert failures.of_store(ValueError("none of a store")) is None


def test_a_quick_check_tells_what_is_damaged(stores: Path) -> None:
    path = stores / "sweeps.db"
    assert sqlite.damage(path) == ""
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 4096)
    assert sqlite.damage(path)


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (
            lambda: Path("place").rename("moved"),
            "was moved or removed while it was open; put it back there, or go on in",
        ),
        (
            lambda: Path("place/toy.db").unlink(),
            "was moved or removed while it was open; put it back there, or go on in",
        ),
        (
            lambda: os.truncate("place/toy.db", 0),
            "lacks tables that it had; it was removed or emptied while it was open",
        ),
    ],
)
def test_a_file_that_is_moved_or_emptied_while_it_is_open_is_no_disk_that_fails(
    folder: Path, act: Callable[[], object], sentence: str
) -> None:
    Path("place").mkdir()
    change("place/toy.db", "CREATE TABLE toy (x)")
    sqlite.log_ahead(Path("place/toy.db"))
    engine = create_engine(f"sqlite:///{folder}/place/toy.db")
    failures.trace(engine)
    with engine.connect() as connection:
        act()
        with pytest.raises(DatabaseError) as error:
            connection.execute(text("SELECT * FROM toy"))
    assert sentence in str(failures.of_store(error.value))
    engine.dispose()


def test_every_way_out_is_said_once() -> None:
    """Who gets a sentence adds how to go on, such as `sweep resume`."""
    assert not [cause.do for cause in (*SCHEMA, *SQLITE, *POSTGRESQL, *HTTP) if "again" in cause.do]
