"""The tables of a store are made once, by one process, and are there whole or not at all."""

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from optuna.storages import RDBStorage
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import ProgrammingError

from orchestrator.stores import creation, optuna_storage
from orchestrator.stores.creation import Schema
from tests.support.processes import LIMIT, wait_for
from tests.support.servers import Postgresql

URL = "sqlite:///store.db"
TABLES = ("runs", "tags", "alembic_version")
REVISION = "2"
FORK = multiprocessing.get_context("fork")


def make(url: str) -> None:
    """Three tables, each in a transaction of its own, and a line in a file for each time they are made."""
    with open("made", "a") as log:
        log.write("once\n")
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
        for table in TABLES:
            connection.execute(f"CREATE TABLE {table} (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (REVISION,))


SCHEMA = Schema("runs", make, lambda: REVISION)


def killed(at: int) -> None:
    """Make the store, and be killed at a statement."""

    def make_and_die(url: str) -> None:
        statements = 0

        def count(*_: object) -> int:
            nonlocal statements
            statements += 1
            if statements == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return sqlite3.SQLITE_OK

        original = sqlite3.connect

        def connect(*arguments: object, **options: object) -> sqlite3.Connection:
            connection: sqlite3.Connection = original(*arguments, **options)  # type: ignore[call-overload]
            connection.set_trace_callback(count)
            return connection

        sqlite3.connect = connect  # type: ignore[assignment]
        make(url)

    creation.ensure(URL, Schema("runs", make_and_die, lambda: REVISION))


def tables(path: str = "store.db") -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]


def left(*names: str) -> None:
    """A file that a killed program left with these tables."""
    with closing(sqlite3.connect("store.db", isolation_level=None)) as connection:
        for name in names:
            connection.execute(f"CREATE TABLE {name} (version_num TEXT)")


@pytest.mark.parametrize("statement", [1, 2, 3, 4])
def test_a_maker_that_is_killed_leaves_no_store(folder: Path, statement: int) -> None:
    maker = FORK.Process(target=killed, args=(statement,))
    maker.start()
    maker.join(LIMIT)
    assert maker.exitcode == -signal.SIGKILL
    assert not creation.is_made(URL, SCHEMA) and not Path("store.db").exists()
    creation.ensure(URL, SCHEMA)
    assert tables() == list(TABLES) and {path.name for path in folder.iterdir()} == {"store.db", "made"}


def test_of_many_processes_one_makes_the_store(folder: Path) -> None:
    makers = [FORK.Process(target=creation.ensure, args=(URL, SCHEMA)) for _ in range(6)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join(LIMIT)
    assert [maker.exitcode for maker in makers] == [0] * 6
    assert Path("made").read_text() == "once\n" and tables() == list(TABLES)


@pytest.mark.parametrize("names", [("runs",), ("runs", "tags"), TABLES])
def test_a_half_made_store_is_moved_aside(
    folder: Path, names: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    for number, aside in enumerate(("store.db.half-made", "store.db.half-made-2")):
        left(*names)
        creation.ensure(URL, SCHEMA)
        assert tables() == list(TABLES) and tables(aside) == list(names)
        assert capsys.readouterr().err.count("\n") == 1
        if not number:
            Path("store.db").unlink()


def test_a_half_made_store_that_holds_a_run_stays(folder: Path) -> None:
    left("runs")
    with closing(sqlite3.connect("store.db", isolation_level=None)) as connection:
        connection.execute("INSERT INTO runs VALUES ('kept')")
    creation.ensure(URL, SCHEMA)
    assert [path.name for path in folder.iterdir()] == ["store.db"] and tables() == ["runs"]


def test_an_empty_file_becomes_the_store(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("store.db").touch()
    creation.ensure(URL, SCHEMA)
    assert tables() == list(TABLES) and not capsys.readouterr().err


def test_a_link_leads_to_the_store(folder: Path) -> None:
    (folder / "disk").mkdir()
    Path("store.db").symlink_to(folder / "disk" / "real.db")
    creation.ensure(URL, SCHEMA)
    assert Path("store.db").is_symlink() and tables("disk/real.db") == list(TABLES)


def test_another_program_that_makes_the_store_is_waited_for(folder: Path) -> None:
    program = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect('store.db', isolation_level=None)\n"
        "connection.execute('CREATE TABLE runs (version_num TEXT)')\n"
        "print('begun', flush=True)\n"
        "sys.stdin.readline()\n"
        "connection.execute('CREATE TABLE alembic_version (version_num TEXT)')\n"
        f"connection.execute('INSERT INTO alembic_version VALUES ({REVISION})')\n"
        "sys.stdin.readline()\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin and other.stdout
        assert other.stdout.readline() == "begun\n"
        waiter = FORK.Process(target=creation.ensure, args=(URL, SCHEMA))
        waiter.start()
        wait_for(lambda: Path(".store.db.lock").exists())
        other.stdin.write("\n")
        other.stdin.flush()
        waiter.join(LIMIT)
        assert waiter.exitcode == 0
        other.stdin.write("\n")
    assert tables() == ["runs", "alembic_version"] and not Path("made").exists()


def test_a_half_made_storage_of_optuna_is_made_anew(folder: Path) -> None:
    left("studies")
    assert optuna_storage.connect(URL, create=False).get_all_studies() == [], "looking makes nothing"
    assert tables() == ["studies"]
    optuna_storage.connect(URL)
    assert tables("store.db.half-made") == ["studies"]
    assert RDBStorage(URL).get_all_studies() == []


def run(url: str, statement: str) -> None:
    """Run a statement on a database."""
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.execute(text(statement))


def test_another_program_that_makes_the_same_tables_in_postgresql_is_waited_for(
    postgresql: Postgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in postgresql.environment.items():
        monkeypatch.setenv(name, value)
    url, attempts = postgresql.database(), list[str]()

    def make_beside_another(url: str) -> None:
        """The first time, another program is faster by a moment."""
        attempts.append(url)
        if len(attempts) == 1:
            run(url, "CREATE TABLE runs (name TEXT)")
            run(url, "CREATE TABLE runs (name TEXT)")

    creation.ensure(url, Schema("runs", make_beside_another, lambda: REVISION))
    assert len(attempts) == 2
    with pytest.raises(ProgrammingError, match="does not exist"):  # another error is no reason to wait
        creation.ensure(url, Schema("runs", lambda url: run(url, "SELECT * FROM nothing"), lambda: REVISION))


def test_who_waits_to_make_tables_in_postgresql_locks_none_of_them(
    postgresql: Postgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever makes them alters some, and would wait for ever for a reader that waits for its turn to make them."""
    for name, value in postgresql.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PGOPTIONS", f"-c lock_timeout={LIMIT:g}s")

    url = postgresql.database()
    run(url, "CREATE TABLE runs (name TEXT)")
    creation.ensure(
        url, Schema("runs", lambda url: run(url, "ALTER TABLE runs ADD COLUMN state TEXT"), lambda: REVISION)
    )
    run(url, "INSERT INTO runs (state) VALUES ('RUNNING')")


def test_a_study_is_added_whole_or_not_at_all(folder: Path) -> None:
    storage = optuna_storage.connect(URL)
    objectives = [("distance", "minimize"), ("share", "maximize")]
    optuna_storage.add_study(storage, "toy", objectives, {"sweep": {"name": "toy"}})
    (study,) = storage.get_all_studies()
    assert (study.study_name, study.user_attrs) == ("toy", {"sweep": {"name": "toy"}})
    assert [direction.name for direction in study.directions] == ["MINIMIZE", "MAXIMIZE"]
    assert study.system_attrs == {"study:metric_names": ["distance", "share"]}
    with pytest.raises(optuna_storage.NameTaken):
        optuna_storage.add_study(storage, "toy", objectives, {})
