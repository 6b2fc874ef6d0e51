"""A sweep on servers that people share: Optuna in PostgreSQL, MLflow behind `mlflow server` with basic authentication."""

import base64
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient

from orchestrator.delivery.entries import Begin
from orchestrator.search import book
from orchestrator.stores import optuna_storage
from orchestrator.tracking import connection, model_registry, server
from tests.support.cli import Result, command
from tests.support.cli import sweep as run_sweep
from tests.support.paths import QUADRATIC
from tests.support.processes import LIMIT, Process
from tests.support.servers import MlflowServer, Postgresql
from tests.support.stores import short_name

pytestmark = pytest.mark.slow


def sweep(arguments: Sequence[str], stores: Mapping[str, str]) -> Result:
    """Run the command to its end; ``stores`` are the variables in which it finds passwords."""
    return run_sweep(*arguments, variables=stores)


@contextmanager
def command_lines() -> Iterator[set[str]]:
    """Every command line on this machine inside the block, looked at ten times a second."""
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(process.read_text(errors="replace").replace("\0", " "))
                except OSError:  # it has just ended
                    pass

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        over.set()
        looking.join()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="reads command lines from /proc")
def test_a_sweep_on_postgresql_and_an_authenticated_server_tells_no_password(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    postgresql: Postgresql,
    mlflow_server: Callable[..., MlflowServer],
) -> None:
    server, storage = mlflow_server("postgresql"), postgresql.database()
    who = {**postgresql.environment, **server.environment}
    basic = base64.b64encode(f"{server.user}:{server.password}".encode()).decode()
    secrets = (postgresql.password, server.password, server.admin_password, basic)

    options = ["--name", "toy", "--trials", "3", "--workers", "2", "--pruner", "none"]
    told = ""
    with command_lines() as processes:
        for arguments, more in (
            (["run", QUADRATIC, *options, "--storage", storage, "--tracking-uri", server.address], {}),
            (["show", "toy"], {"SWEEP_STORAGE": storage.replace("@", f":{postgresql.password}@")}),
            (["list", "--storage", storage], {}),
        ):
            done = sweep(arguments, who | more)
            assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr
            told += done.stdout
    assert "3/3 finished" in told and f"pictures   {server.address}" in told

    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    client = MlflowClient(server.address)
    experiment = client.get_experiment_by_name("quadratic")
    assert experiment is not None
    runs = {short_name(run.info.run_name): run for run in client.search_runs([experiment.experiment_id])}
    assert {name: run.info.status for name, run in runs.items()} == dict.fromkeys(
        ("toy", "trial 0", "trial 1", "trial 2"), "FINISHED"
    )
    parent = runs.pop("toy")
    for run in runs.values():
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert [one.step for one in client.get_metric_history(run.info.run_id, "distance")] == [1, 2, 3, 4, 5]
        assert any(file.path.endswith(".png") for file in client.list_artifacts(run.info.run_id, "images"))
        assert "config.json" in {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"best_samples.png", "figures"} <= {file.path for file in client.list_artifacts(parent.info.run_id)}

    assert any("orchestrator" in line and storage in line for line in processes), "the command was seen"
    places = {
        "what it printed": told,
        "the lists of processes": "\n".join(processes),
        "Optuna's database": postgresql.dump(storage),
        "MLflow's database": postgresql.dump(server.backend),
        "params and tags": str([(run.data.params, run.data.tags) for run in (parent, *runs.values())]),
        **{str(path): path.read_text(errors="replace") for path in files(folder, server.folder)},
    }
    assert "trial_values" in places["Optuna's database"] and "latest_metrics" in places["MLflow's database"]
    assert not [place for place, text in places.items() if any(secret in text for secret in secrets)]


def files(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def test_a_wrong_password_is_told_in_one_sentence(folder: Path, mlflow_server: Callable[..., MlflowServer]) -> None:
    server = mlflow_server()
    wrong = {**server.environment, "MLFLOW_TRACKING_PASSWORD": "wrong"}
    done = sweep(["run", QUADRATIC, "--tracking-uri", server.address], wrong)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.count("\n") == 1 and "wants to know who you are" in done.stderr
    assert "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in done.stderr


def test_an_account_that_may_only_look_is_told_in_one_sentence(
    folder: Path, mlflow_server: Callable[..., MlflowServer]
) -> None:
    server = mlflow_server()
    server.ask("POST", "experiments/create", name="quadratic")  # the administrator's
    done = sweep(["run", QUADRATIC, "--tracking-uri", server.address], server.environment)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "does not let you do this; ask its administrator" in done.stderr
    assert "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in done.stderr


def test_the_champion_is_loaded_from_an_authenticated_server(
    folder: Path, mlflow_server: Callable[..., MlflowServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow.pytorch

    from models.ebm.networks import EnergyResNet

    server = mlflow_server()
    for name, value in {**server.environment, "MLFLOW_TRACKING_URI": server.address}.items():
        monkeypatch.setenv(name, value)
    store = connection.connect(server.address, "--tracking-uri", "toy")
    network, images = EnergyResNet((1, 8, 8), 2, 4).eval(), torch.randn(5, 1, 8, 8)
    run = store.begin(Begin(key="k/0", name="trial 0", params={}, tags={})).run
    address = model_registry.register(store, run, network, (1, 8, 8), "toy-sweep", {"trial": "0"})
    loaded = mlflow.pytorch.load_model(address)
    with torch.no_grad():
        torch.testing.assert_close(loaded(images), network(images))


def test_connections_that_were_cut_are_made_anew(
    folder: Path, postgresql: Postgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in postgresql.environment.items():
        monkeypatch.setenv(name, value)
    database = postgresql.database()
    storage = optuna_storage.connect(database)
    assert book.names(storage) == []
    postgresql.disconnect(database)
    assert book.names(storage) == []
    storage.remove_session()
    storage.engine.dispose()


def test_a_server_comes_back_with_its_data(
    mlflow_server: Callable[..., MlflowServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = mlflow_server()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    MlflowClient(server.address).create_experiment("kept")
    server.stop()
    with pytest.raises(OSError):
        urllib.request.urlopen(f"{server.address}/health", timeout=5)
    server.start()
    assert MlflowClient(server.address).get_experiment_by_name("kept") is not None
    assert MlflowClient(mlflow_server().address).get_experiment_by_name("kept") is None, "cleared for the next test"


def test_sweep_ui_with_accounts_lets_nobody_in_who_has_none(folder: Path) -> None:
    connection.connect(f"sqlite:///{folder}/mlflow.db", "--tracking-uri", "toy")
    arguments = ["ui", "--auth", "--port", "0", "--no-browser", "--folder", str(folder)]
    refused = sweep(arguments, {})
    assert refused.returncode == 2 and f"export {server.PASSWORD}=" in refused.stderr
    process = Process(command(*arguments), folder, {server.PASSWORD: "of twelve letters"})
    try:
        process.wait_for(lambda: "Ctrl-C" in process.stdout)
        text = process.stdout
        assert "Sign in as admin." in text and "users/create" in text, text
        found = re.search(r"http://127\.0\.0\.1:\d+", text)
        assert found is not None
        asked = f"{found[0]}/api/2.0/mlflow/experiments/search?max_results=5"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(asked, timeout=LIMIT)
        who = base64.b64encode(b"admin:of twelve letters").decode()
        with urllib.request.urlopen(
            urllib.request.Request(asked, headers={"Authorization": f"Basic {who}"}), timeout=LIMIT
        ) as answer:
            assert '"toy"' in answer.read().decode()
    finally:
        process.process.terminate()
        process.finish().close()
