"""`sweep resume --tracking-uri`: the sweep goes on where its runs are now, and only there."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.errors import UserError
from orchestrator.transfer import readdress
from tests.support.clinic import Clinic, everything


def test_a_sweep_goes_on_where_its_runs_are_and_only_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = Clinic(folder, monkeypatch).run(trials=1)
    with closing(sqlite3.connect("mlflow.db")) as source, closing(sqlite3.connect("elsewhere.db")) as copy:
        source.backup(copy)
    before = everything()
    with pytest.raises(UserError, match="has 0 of the 2 runs of 'toy'; carry all of them there with `"):
        readdress.resumed(clinic.storage, "toy", {"tracking_uri": "sqlite:///empty.db"})
    with pytest.raises(UserError, match="is the database of --storage as well"):
        readdress.resumed(clinic.storage, "toy", {"tracking_uri": "sqlite:///sweeps.db"})
    with pytest.raises(UserError, match="holds credentials"):
        readdress.resumed(clinic.storage, "toy", {"tracking_uri": "http://me:secret@127.0.0.1:1"})
    _, changes = readdress.resumed(clinic.storage, "toy", {"tracking_uri": "sqlite:///elsewhere.db"})
    assert changes == {"tracking_uri": f"sqlite:///{folder}/elsewhere.db"}
    assert everything() == before and not Path("empty.db").exists()
