"""`sweep resume --tracking-uri`: the sweep goes on where its runs are now, and only there."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from orchestrator.errors import UserError
from orchestrator.search import book as books
from orchestrator.search.trials import runs_of
from orchestrator.stores import optuna_storage
from orchestrator.transfer import readdress
from tests.support import cli
from tests.support.clinic import Clinic, everything
from tests.support.paths import QUADRATIC
from tests.support.stores import dump


def test_a_sweep_goes_on_where_its_runs_are_and_only_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = Clinic(folder, monkeypatch).run(trials=1)
    with closing(sqlite3.connect("mlflow.db")) as source, closing(sqlite3.connect("elsewhere.db")) as copy:
        source.backup(copy)
    before = everything()
    with pytest.raises(UserError, match="has 0 of the 2 runs of 'toy'; carry all of them there with `"):
        readdress.resumed(clinic.book, {"tracking_uri": "sqlite:///empty.db"})
    with pytest.raises(UserError, match="is the database of --storage as well"):
        readdress.resumed(clinic.book, {"tracking_uri": "sqlite:///sweeps.db"})
    with pytest.raises(UserError, match="holds credentials"):
        readdress.resumed(clinic.book, {"tracking_uri": "http://me:secret@127.0.0.1:1"})
    changes = readdress.resumed(clinic.book, {"tracking_uri": "sqlite:///elsewhere.db"})
    assert changes == {"tracking_uri": f"sqlite:///{folder}/elsewhere.db"}
    assert everything() == before and not Path("empty.db").exists()


def test_artifacts_that_moved_with_the_file_of_mlflow_are_found_there(folder: Path) -> None:
    """By processes, for one that has the file open cannot move it."""
    cli.sweep("run", QUADRATIC, "--name", "toy", "--trials", "1", "--workers", "0")
    place = folder / "another place"
    place.mkdir()
    for name in ("mlflow.db", "mlruns"):
        Path(name).rename(place / name)
    uri = f"sqlite:///{place}/mlflow.db"
    before = dump(str(place / "mlflow.db"))
    stale = {"MLFLOW_RUN_ID": "nonesuch"}
    assert cli.sweep("resume", "toy", "--tracking-uri", uri, variables=stale).returncode == 2
    assert dump(str(place / "mlflow.db")) == before, "a refused command changes nothing"
    done = cli.sweep("resume", "toy", "--trials", "2", "--workers", "0", "--tracking-uri", uri)
    assert done.returncode == 0, done.stderr
    assert f"sweep ui --tracking-uri '{uri}'" in done.stdout
    client, book = MlflowClient(uri), books.load(optuna_storage.meant(None), "toy")
    assert len(book.trials()) == 2
    for run in runs_of(book.spec, book.trials()):
        assert client.list_artifacts(run)
        assert str(client.get_run(run).info.artifact_uri).startswith(f"{place}/mlruns/")
    assert not Path("mlruns").exists()
