"""What arrives in a real MLflow store: numbers, pictures, data, statuses, the champion."""

from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient

from models._events import Curve, DataUsed, Facts, Images, Matrix, Scalars
from orchestrator import tracker
from orchestrator.errors import UserError


@pytest.fixture
def mlflow_store(folder: Path) -> tuple[tracker.MlflowTracker, MlflowClient]:
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    return tracker.connect(uri, "--tracking-uri", "toy"), MlflowClient(uri)


Store = tuple[tracker.MlflowTracker, MlflowClient]


def test_numbers_arrive_once_each_with_their_steps(mlflow_store: Store) -> None:
    ours, client = mlflow_store
    run = ours.start("trial 0", {"width": 16}, {"sweep": "s"}, None)
    for step in range(1200):
        run.write(Scalars(step, {"loss": step / 10, "fid/fresh": 1.0}))
    run.end("FINISHED", {"outcome": "complete"})
    history = client.get_metric_history(run.id, "loss")
    assert [(metric.step, metric.value) for metric in history] == [(step, step / 10) for step in range(1200)]
    stored = client.get_run(run.id)
    assert stored.info.status == "FINISHED" and stored.info.end_time is not None
    assert stored.data.params == {"width": "16"} and stored.data.tags["outcome"] == "complete"


def test_pictures_play_over_steps_under_one_key(mlflow_store: Store) -> None:
    ours, client = mlflow_store
    run = ours.start("trial 0", {}, {}, None)
    for step in (10, 20):
        run.write(Images(step, "samples/fresh", torch.zeros(4, 1, 8, 8)))
    run.write(Curve(0, "chain/energy", [0.0, 1.0], {"a": [1.0, 2.0]}, "step", "energy"))
    run.write(Matrix(0, "judge/confusion", torch.eye(3), ["a", "b", "c"], ["a", "b", "c"]))
    names = sorted(
        Path(file.path).name for file in client.list_artifacts(run.id, "images") if file.path.endswith(".png")
    )
    assert [name.split("+")[:3] for name in names] == [
        ["chain~energy", "step", "0"],
        ["judge~confusion", "step", "0"],
        ["samples~fresh", "step", "10"],
        ["samples~fresh", "step", "20"],
    ]


def test_data_and_facts(mlflow_store: Store) -> None:
    ours, client = mlflow_store
    run = ours.start("trial 0", {}, {}, None)
    run.write(DataUsed("digits", "scikit-learn", "ab" * 32, {"train": 10, "test": 5}))
    run.write(Facts({"judge/hash": "abc"}))
    stored = client.get_run(run.id)
    assert stored.data.tags["judge/hash"] == "abc"
    (used,) = stored.inputs.dataset_inputs
    assert used.dataset.name == "digits" and used.dataset.digest == ("ab" * 32)[:36]


def test_children_are_shown_below_their_parent(mlflow_store: Store) -> None:
    ours, client = mlflow_store
    parent = ours.start("sweep", {}, {}, None)
    child = ours.start("trial 0", {}, {}, parent.id)
    stored = client.get_run(child.id)
    assert stored.data.tags["mlflow.parentRunId"] == parent.id
    assert stored.info.experiment_id == client.get_run(parent.id).info.experiment_id


def test_an_ended_run_may_be_resumed(mlflow_store: Store) -> None:
    ours, client = mlflow_store
    run = ours.start("trial 0", {}, {}, None)
    run.end("KILLED", {"outcome": "stopped"})
    again = ours.reopen(run.id)
    assert client.get_run(run.id).info.status == "RUNNING"
    again.end("FINISHED", {"outcome": "complete"})
    assert client.get_run(run.id).data.tags["outcome"] == "complete"


def test_the_champion_is_loaded_by_its_alias(mlflow_store: Store) -> None:
    import mlflow.pytorch

    from models.parts.nets import EnergyResNet

    ours, client = mlflow_store
    network = EnergyResNet((1, 8, 8), 2, 4).eval()
    images = torch.randn(5, 1, 8, 8)
    for width in ("first", "second"):
        run = ours.start(width, {}, {}, None)
        run.end("FINISHED", {})
        with torch.no_grad():
            network.head.bias.add_(1.0)  # type: ignore[operator,union-attr]
        address = run.champion(network, (1, 8, 8), "toy-sweep", {"trial": "0"})
        loaded = mlflow.pytorch.load_model(address)
        with torch.no_grad():
            torch.testing.assert_close(loaded(images), network(images))
        assert client.get_run(run.id).info.status == "FINISHED"
    assert client.get_model_version_by_alias("toy-sweep", "champion").version in (2, "2")


def test_what_cannot_be_opened_is_refused(folder: Path) -> None:
    for uri in ("sqlite:////nowhere/at/all/mlflow.db", "http://127.0.0.1:9/"):
        with pytest.raises(UserError, match="--tracking-uri=.* cannot be opened"):
            tracker.connect(uri, "--tracking-uri", "toy")


def test_sqlite_is_in_write_ahead_logging(mlflow_store: Store, folder: Path) -> None:
    import sqlite3

    with sqlite3.connect(folder / "mlflow.db") as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()
    assert mode == "wal"


def test_addresses_are_absolute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracker.absolute("sqlite:///mlflow.db") == f"sqlite:///{folder}/mlflow.db"
    assert tracker.absolute("http://host:5000") == "http://host:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host")
    assert tracker.default_uri() == "http://host"
