"""MLflow's database says the same to us as MLflow's own client does, and what we cannot read is left to the client."""

import io
import math
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from orchestrator.delivery.entries import Begin, End, Entry, File, Numbers, Picture, Tags
from orchestrator.errors import UserError
from orchestrator.tracking import connection
from orchestrator.tracking.database import Database, open_database
from orchestrator.tracking.mlflow_store import MlflowStore
from tests.support.servers import Postgresql

SWEEP, OTHER = "5d0c" * 4, "77aa" * 4  # ids
MANY = 1100  # runs: MLflow's client reads 1,000 at a time


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, format="png")
    return buffer.getvalue()


def uri(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty database."""
    if request.param == "sqlite":
        return uri(folder)
    server: Postgresql = request.getfixturevalue("postgresql")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server.database()


def opened(address: str) -> Database:
    database = open_database(address, lambda: connection.open_store(address, "--tracking-uri"))
    assert database is not None
    return database


def fill(store: MlflowStore) -> list[str]:
    """Two sweeps with everything that a run may hold; returns the ids of the runs."""
    runs = []
    for number, key in enumerate((SWEEP, f"{SWEEP}/0", f"{SWEEP}/1", f"{SWEEP}/2", OTHER, f"{OTHER}/0")):
        first = Begin(
            at=10**12 - number, key=key, name=key, params={"x": "1"}, tags={"sweep": "a" if number < 5 else "b"}
        )
        runs.append(store.begin(first).run)
        entries: list[Entry] = [
            Numbers(
                step=step, values={"loss": step / 7, "odd": math.nan if step == 3 else math.inf, "fid/fresh": -1e-9}
            )
            for step in range(4)
        ]
        entries += [Picture(step=step, key="samples/fresh", png=png()) for step in (20, 3)]
        entries += [File(path="config.json", content=b"{}"), File(path="figures/a b%20c.png", content=png())]
        entries += [Tags(values={"note": "100 % süß 'quoted' :colon"})]
        if number % 2:
            entries.append(End(at=10**12, status="FINISHED", tags={"outcome": "complete"}))
        store.deliver(runs[-1], [first, *entries])
    runs.append(store.begin(Begin(key=f"{SWEEP}/3", name="nothing in it", params={}, tags={})).run)
    store.discard(runs[2])
    for name in ("a", "b"):
        store.client.create_registered_model(name)
        store.client.create_model_version(name, "file:///nowhere", runs[0])
    store.client.set_registered_model_alias("a", "champion", "1")
    return runs


def answers(reader: Any, runs: list[str]) -> list[Any]:
    """All that a reader can be asked, as values that can be compared: NaN is not equal to itself."""
    questions: list[Callable[[], Any]] = [
        *(
            lambda id=id, deleted=deleted: reader.records(id, deleted)
            for id in (SWEEP, OTHER, "0" * 16)
            for deleted in (False, True)
        ),
        *(lambda name=name: reader.named(name) for name in ("a", "b", "A", "a%", "c")),
        *(lambda name=name: reader.has_champion(name) for name in ("a", "b", "absent")),
        *(lambda run=run: reader.record(run) for run in (*runs, "0" * 32)),
    ]
    for run in runs:
        questions += [
            lambda run=run: reader.artifacts(run),
            lambda run=run: reader.pictures(run),
            lambda run=run: {path: reader.content(run, path) for _, _, path in reader.pictures(run)},
            lambda run=run: reader.last(run),
            *(lambda run=run, key=key: reader.history(run, key) for key in ("loss", "odd", "absent")),
        ]
    return [_sorted(question()) for question in questions]


def _sorted(value: Any) -> str:
    if isinstance(value, dict):
        return repr(sorted((key, _sorted(item)) for key, item in value.items()))
    if isinstance(value, set | frozenset):
        return repr(sorted(value))
    if isinstance(value, list | tuple):
        return repr([_sorted(item) for item in value])
    return repr(value)


def test_it_says_what_the_client_says(address: str) -> None:
    store = connection.connect(address, "--tracking-uri", "toy")
    runs = fill(store)
    database = opened(address)
    assert database.find_experiment("toy") and database.experiment == store.experiment
    assert answers(database, runs) == answers(store, runs)
    assert not database.find_experiment("absent")


def test_a_deleted_experiment_and_the_one_of_a_run(address: str) -> None:
    store = connection.connect(address, "--tracking-uri", "toy")
    runs = fill(store)
    store.client.delete_experiment(store.experiment)
    database = opened(address)
    assert database.find_experiment("toy") and database.experiment == store.experiment
    assert answers(database, runs) == answers(store, runs)
    database.experiment = ""
    database.follow(runs[0])
    assert database.experiment == store.experiment


def test_more_runs_than_a_page_of_the_client(folder: Path) -> None:
    store = connection.connect(uri(folder), "--tracking-uri", "toy")
    run = store.begin(Begin(key=SWEEP, name="sweep", params={}, tags={"sweep": "a"})).run
    with closing(sqlite3.connect(folder / "mlflow.db")) as file, file:
        for table in ("runs", "tags"):
            columns = [name for _, name, *_ in file.execute(f"PRAGMA table_info({table})")]
            rows = file.execute(f"SELECT * FROM {table} WHERE run_uuid = ?", [run]).fetchall()
            place = columns.index("run_uuid")
            copies = [(*row[:place], f"{n:032x}", *row[place + 1 :]) for n in range(MANY) for row in rows]
            file.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", copies)
    database = opened(uri(folder))
    assert database.find_experiment("toy")
    assert len(database.records(SWEEP)) == MANY + 1
    assert database.records(SWEEP) == store.records(SWEEP) and database.named("a") == store.named("a")


def test_tables_that_it_does_not_know_are_left_to_the_client(folder: Path) -> None:
    connection.connect(uri(folder), "--tracking-uri", "toy")
    for number, statement in enumerate(
        [
            "UPDATE alembic_version SET version_num = 'another'",
            "DELETE FROM alembic_version",
            "DROP TABLE alembic_version",
            "ALTER TABLE experiments RENAME COLUMN workspace TO room",
            "UPDATE experiments SET workspace = 'mine' WHERE name = 'toy'",
        ]
    ):
        copy = folder / f"copy-{number}"
        copy.mkdir()
        with (
            closing(sqlite3.connect(folder / "mlflow.db")) as file,
            closing(sqlite3.connect(copy / "mlflow.db")) as other,
        ):
            file.backup(other)
            assert open_database(uri(copy), lambda: pytest.fail("it is not asked yet")) is not None
            other.execute(statement)
            other.commit()
        assert open_database(uri(copy), lambda: pytest.fail("it is not asked yet")) is None, statement


def test_what_is_no_database_is_left_to_the_client(folder: Path) -> None:
    for address in ("http://127.0.0.1:5000", "databricks://profile", str(folder / "mlruns"), f"file://{folder}/mlruns"):
        assert open_database(address, lambda: pytest.fail("it is not asked yet")) is None


def test_files_elsewhere_are_asked_of_the_client(folder: Path) -> None:
    store = connection.connect(uri(folder), "--tracking-uri", "toy")
    run = fill(store)[1]
    for address in (f"file://{folder}/mlruns/moved%20there", "mlflow-artifacts:/1/2/artifacts"):
        with closing(sqlite3.connect(folder / "mlflow.db")) as file, file:
            file.execute("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", [address, run])
        database = opened(uri(folder))
        assert _outcome(database.artifacts, run) == _outcome(store.artifacts, run)
        assert _outcome(database.pictures, run) == _outcome(store.pictures, run)


def test_a_damaged_database_is_told_in_a_sentence_with_a_way_out(folder: Path) -> None:
    store = connection.connect(uri(folder), "--tracking-uri", "toy")
    run = store.begin(Begin(key=SWEEP, name="sweep", params={}, tags={})).run
    database = opened(uri(folder))
    with closing(sqlite3.connect(folder / "mlflow.db")) as file, file:
        file.execute("DROP TABLE latest_metrics")
    with pytest.raises(
        UserError, match=r"^--tracking-uri=sqlite:.* lacks tables that it had.*put it, or a back-up, back"
    ):
        database.record(run)


def _outcome(question: Callable[[str], Any], run: str) -> Any:
    try:
        return question(run)
    except Exception as error:
        return repr(error)
