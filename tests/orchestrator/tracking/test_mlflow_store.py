"""What arrives in a real MLflow store: numbers, pictures, data, statuses, the champion; each once, however often delivered."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from PIL import Image

from models.events import DataUsed
from orchestrator.delivery.delivery import TRIES, Delivery
from orchestrator.delivery.entries import Begin, End, Entry, File, Note, Numbers, Picture, Tags
from orchestrator.delivery.outbox import Outbox
from orchestrator.delivery.store import Refused, Unclear
from orchestrator.errors import UserError
from orchestrator.stores import sqlite, urls
from orchestrator.tracking import connection, model_registry
from orchestrator.tracking.mlflow_store import MlflowStore

Store = tuple[MlflowStore, MlflowClient]


@pytest.fixture
def mlflow_store(folder: Path) -> Store:
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    return connection.connect(uri, "--tracking-uri", "toy"), MlflowClient(uri)


def begin(key: str = "k/0", parent: str | None = None) -> Begin:
    return Begin(key=key, name="trial 0", params={"width": "16"}, tags={"sweep": "s"}, parent=parent)


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(buffer, format="png")
    return buffer.getvalue()


def test_numbers_arrive_each_with_its_step_and_time(mlflow_store: Store) -> None:
    ours, client = mlflow_store
    first = begin()
    run = ours.begin(first).run
    said: list[Entry] = [Numbers(at=10**12 + k, step=k, values={"loss": k / 10, "fid/fresh": 1.0}) for k in range(1200)]
    ours.deliver(run, [first, *said, End(at=10**12 + 5000, status="FINISHED", tags={"outcome": "complete"})])
    history = client.get_metric_history(run, "loss")
    assert [(one.step, one.value, one.timestamp) for one in history] == [(k, k / 10, 10**12 + k) for k in range(1200)]
    stored = client.get_run(run)
    assert stored.info.status == "FINISHED" and stored.info.end_time == 10**12 + 5000
    assert stored.data.params == {"width": "16"} and stored.data.tags["outcome"] == "complete"


def test_what_is_delivered_twice_is_there_once(mlflow_store: Store) -> None:
    ours, client = mlflow_store
    first = begin()
    entries: list[Entry] = [
        Numbers(step=1, values={"loss": 2.0, "odd": float("nan")}),
        Picture(step=10, key="samples/fresh", png=png()),
        Picture(step=20, key="samples/fresh", png=png()),
        File(path="figures/a.txt", content=b"a word"),
        Tags(values={"judge": "abc"}),
        Note(markdown="what it is"),
        End(status="KILLED", tags={}),
    ]
    runs = set()
    for _ in range(2):
        runs.add(ours.begin(first).run)
        ours.deliver(ours.begin(first).run, entries)
    (run,) = runs
    assert len(client.search_runs([ours.experiment])) == 1
    assert len(client.get_metric_history(run, "loss")) == 1 == len(client.get_metric_history(run, "odd"))
    pictures = sorted(Path(file.path).name for file in client.list_artifacts(run, "images"))
    assert [name.split("+")[:3] for name in pictures if name.endswith(".png")] == [
        ["samples~fresh", "step", "10"],
        ["samples~fresh", "step", "20"],
    ]
    assert len(pictures) == 4, "each with its small copy"
    stored = client.get_run(run)
    assert stored.data.tags["judge"] == "abc" and stored.data.tags["mlflow.note.content"] == "what it is"
    assert Path(client.download_artifacts(run, "figures/a.txt")).read_text() == "a word"


def test_pictures_are_named_as_mlflow_names_its_own(mlflow_store: Store) -> None:
    """Its page reads the step from the name."""
    ours, client = mlflow_store
    run = ours.begin(begin()).run
    ours.deliver(run, [Picture(step=7, key="samples/fresh", png=png())])
    other = ours.begin(begin("k/1")).run
    client.log_image(other, np.zeros((8, 8, 3), np.uint8), key="samples/fresh", step=7, synchronous=True)

    def shape(run: str) -> list[tuple[list[str], str, int]]:
        names = [Path(file.path).name for file in client.list_artifacts(run, "images")]
        parts = [name.rsplit(".", 1) for name in sorted(names)]
        return [([p for p in stem.split("+") if not p[0].isdigit()][:3], kind, stem.count("+")) for stem, kind in parts]

    assert sorted(kind for _, kind, _ in shape(run)) == sorted(kind for _, kind, _ in shape(other))
    assert sorted(count for *_, count in shape(run)) == sorted(count for *_, count in shape(other))
    tag = "mlflow.loggedImages"
    assert client.get_run(run).data.tags[tag] == client.get_run(other).data.tags[tag]


def test_data_are_an_input_of_the_run(mlflow_store: Store, folder: Path) -> None:
    ours, client = mlflow_store
    outbox = Outbox(folder / "trial-0")
    outbox.begin("k/0", "trial 0", {}, {})
    outbox.data(DataUsed("digits", "scikit-learn", "ab" * 32, {"train": 10, "test": 5}))
    outbox.close()
    delivery = Delivery(folder / "trial-0", ours)
    delivery.drain()
    (used,) = client.get_run(delivery.sent.run).inputs.dataset_inputs
    assert used.dataset.name == "digits" and used.dataset.digest == ("ab" * 32)[:36]


def test_children_are_shown_below_their_parent(mlflow_store: Store) -> None:
    ours, client = mlflow_store
    parent = ours.begin(begin("k")).run
    ours.follow(parent)
    child = client.get_run(ours.begin(begin("k/0", parent)).run)
    assert child.data.tags["mlflow.parentRunId"] == parent
    assert child.info.experiment_id == client.get_run(parent).info.experiment_id


def test_an_ended_run_goes_on_as_itself(mlflow_store: Store) -> None:
    ours, client = mlflow_store
    run = ours.begin(begin()).run
    ours.deliver(run, [End(status="KILLED", tags={"outcome": "stopped"})])
    assert ours.begin(begin()).run == run and client.get_run(run).info.status == "RUNNING"


def test_a_record_that_is_found_tells_the_last_step_of_every_key(
    mlflow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there last tells that all before it is, also where the connection was lost in the middle of a delivery."""
    ours, client = mlflow_store
    run, steps = ours.begin(begin())
    assert steps == {}
    said: list[Entry] = [Numbers(step=k, values={"loss": 1.0}) for k in range(2000)]
    said += [Picture(step=step, key=key, png=png()) for step in (10, 20, 30) for key in ("samples/fresh", "a b")]
    left = {"log_batch": 2, "log_artifact": 0}

    def limit(name: str) -> None:
        original = getattr(client, name)

        def limited(*arguments: Any, **more: Any) -> None:
            if not left[name]:
                raise ConnectionError("lost")
            left[name] -= 1
            original(*arguments, **more)

        monkeypatch.setattr(ours.client, name, limited)

    limit("log_batch")
    limit("log_artifact")
    with pytest.raises(ConnectionError):
        ours.deliver(run, said)
    left |= {"log_batch": 1}
    assert ours.begin(begin()).steps == {"loss": 1599}
    left |= {"log_batch": 9, "log_artifact": 7}
    with pytest.raises(ConnectionError):
        ours.deliver(run, said)
    left |= {"log_batch": 9, "log_artifact": 99}
    assert ours.begin(begin()).steps == {"loss": 1599, "picture samples/fresh": 20, "picture a b": 10}
    ours.deliver(run, said)
    assert ours.begin(begin()).steps == {"loss": 1999, "picture samples/fresh": 30, "picture a b": 30}


def test_what_mlflow_never_takes_is_refused_and_what_it_cannot_take_now_is_not(
    mlflow_store: Store, folder: Path
) -> None:
    ours, client = mlflow_store
    run = ours.begin(begin()).run
    with pytest.raises(Refused):
        ours.deliver(run, [Numbers(step=1, values={"loss": 1.0}), Tags(values={"a tag?": "b"})])
    client.delete_run(run)
    with pytest.raises(Refused) as gone:
        ours.deliver(run, [Numbers(step=1, values={"loss": 1.0})])
    assert gone.value.record, "nothing of it will ever be taken"


def test_a_run_that_somebody_deleted_is_told_of_and_holds_nothing_up(mlflow_store: Store, folder: Path) -> None:
    ours, client = mlflow_store
    outbox = Outbox(folder / "trial-0")
    outbox.begin("k/0", "trial 0", {"width": 16}, {})
    delivery = Delivery(folder / "trial-0", ours)
    delivery.drain()
    run = delivery.sent.run
    client.delete_run(run)
    outbox.numbers(1, {"loss": 1.0})
    outbox.close()
    outbox.begin("k/0", "trial 0", {"width": 16}, {}, run=run)  # as a resumed trial does
    outbox.numbers(2, {"loss": 1.0})
    outbox.end("FINISHED", {})
    delivery.drain()
    assert delivery.pending() == 0 and delivery.sent.refused == 4 and "active" in delivery.sent.reason
    kept = (delivery.folder / "refused.jsonl").read_text().splitlines()
    assert len(kept) == 4, "and kept"


def test_the_champion_is_loaded_by_its_alias(mlflow_store: Store) -> None:
    import mlflow.pytorch

    from models.ebm.networks import EnergyResNet

    ours, client = mlflow_store
    network = EnergyResNet((1, 8, 8), 2, 4).eval()
    images = torch.randn(5, 1, 8, 8)
    for width in ("first", "second"):
        run = ours.begin(begin(width)).run
        ours.deliver(run, [End(status="FINISHED", tags={}, at=10**12)])
        with torch.no_grad():
            network.head.bias.add_(1.0)  # type: ignore[operator,union-attr]
        address = model_registry.register(ours, run, network, (1, 8, 8), "toy-sweep", {"trial": "0"})
        loaded = mlflow.pytorch.load_model(address)
        with torch.no_grad():
            torch.testing.assert_close(loaded(images), network(images))
        info = client.get_run(run).info
        assert (info.status, info.end_time) == ("FINISHED", 10**12), "it lasted as long as it did"
    assert client.get_model_version_by_alias("toy-sweep", "champion").version in (2, "2")


def test_what_cannot_be_opened_is_refused(folder: Path) -> None:
    for uri, sentence in (
        (
            "sqlite:////nowhere/at/all/mlflow.db",
            "lies in a folder that is not there; make it: mkdir -p /nowhere/at/all",
        ),
        ("http://127.0.0.1:9/", "cannot be opened"),
    ):
        with pytest.raises(UserError, match=f"--tracking-uri={uri} {sentence}"):
            connection.connect(uri, "--tracking-uri", "toy")


def test_sqlite_is_in_write_ahead_logging(mlflow_store: Store, folder: Path) -> None:
    import sqlite3

    with sqlite3.connect(folder / "mlflow.db") as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()
    assert mode == "wal"


def test_addresses_are_absolute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sqlite.absolute("sqlite:///mlflow.db") == f"sqlite:///{folder}/mlflow.db"
    assert sqlite.absolute("http://host:5000") == "http://host:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host")
    assert urls.tracking() == "http://host"


def test_names_and_steps_that_mlflow_refuses_take_no_other_number_along(mlflow_store: Store, tmp_path: Path) -> None:
    ours, client = mlflow_store
    outbox, long = Outbox(tmp_path), "x" * 190
    outbox.begin("k/0", "trial 0", {"width": 16}, {"sweep": "s"})
    for step in (1, 2, 2**63):
        outbox.numbers(
            step,
            {
                "loss": 1.0 / step,
                "acc@5": 0.5,
                "acc_5": 0.4,
                "f1(macro)": 0.2,
                "دقت": 0.1,
                "a//b/../c": 3.0,
                long * 2: 1.0,
            },
        )
    outbox.picture(long, 1, png())
    outbox.picture("fine", 1, png())
    outbox.end("FINISHED", {})
    delivery = Delivery(tmp_path, ours)
    delivery.drain()
    stored = client.get_run(delivery.sent.run)
    assert stored.info.status == "FINISHED"
    for key in ("loss", "acc@5", "acc_5", "f1(macro)", "دقت", "a//b/../c", long * 2):
        assert [step for step, _ in ours.history(delivery.sent.run, key)] == [1, 2], key
    names = {key.rpartition("-")[0] or key for key in stored.data.metrics}
    assert {"acc_5", "f1_macro_", "دقت"} <= names
    assert ours.renamed["acc@5"].startswith("acc_5-")
    assert delivery.sent.refused == 7 and "steps end at 9223372036854775807" in delivery.sent.reason
    files = {file.path.partition("+")[0] for file in client.list_artifacts(delivery.sent.run, "images")}
    assert "images/fine" in files and len(files) == 2


def test_what_a_proxy_refuses_for_a_while_arrives(
    mlflow_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its 400 is not MLflow's; what came after many of them is kept, and delivered when somebody asks for it."""
    ours, client = mlflow_store
    outbox = Outbox(tmp_path)
    outbox.begin("k/0", "trial 0", {}, {})
    outbox.numbers(1, {"loss": 0.5})
    outbox.end(None, {})
    answer = MlflowException("API request to endpoint failed with error code 400", error_code=BAD_REQUEST)

    def refuse(*arguments: Any, **named: Any) -> None:
        raise answer

    delivery = Delivery(tmp_path, ours)
    with monkeypatch.context() as patch:
        patch.setattr(ours.client, "log_batch", refuse)
        for _ in range(TRIES - 1):
            with pytest.raises(Unclear):
                delivery.step()
        delivery.drain()
        assert delivery.deliver_refused() == 0
    assert delivery.sent.refused == 3
    assert delivery.deliver_refused() == 3
    assert ours.history(delivery.sent.run, "loss") == [(1, 0.5)]
    assert len(client.search_runs([ours.experiment])) == 1
