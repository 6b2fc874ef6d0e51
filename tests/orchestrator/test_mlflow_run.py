"""`mlflow run . -e ebm_sweep`, as a user types it, on a copy of the project; and its sudden death."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.orchestrator.cli.test_cli import begun, environment, statuses, study, sweep, wait_for
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def project(folder: Path) -> Path:
    """What `mlflow run` needs of the project, copied, for it works in the project's folder."""
    for package in ("orchestrator", "studies", "models", "samplers"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("MLproject", "conda.yaml"):
        shutil.copy(ROOT / file, folder)
    return folder


def mlflow_run(**parameters: str) -> list[str]:
    command = [sys.executable, "-m", "mlflow", "run", ".", "-e", "ebm_sweep", "--env-manager", "local"]
    return command + [part for key, value in parameters.items() for part in ("-P", f"{key}={value}")]


def test_mlflow_run_searches_and_its_own_run_is_the_parent(project: Path) -> None:
    small = "network_evaluations=1200 evaluation_samples=64 width=8"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # MLflow runs the first python there
    done = subprocess.run(
        mlflow_run(trials="2", name="small", set=small),
        env=environment() | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "2/2 finished" in done.stdout and " ui " in done.stdout and "fid/fresh" in done.stdout
    assert statuses() == {"small": "FINISHED", "trial 0": "FINISHED", "trial 1": "FINISHED"}
    with sqlite3.connect("mlflow.db") as connection:
        parent = connection.execute("select run_uuid, experiment_id from runs where name='small'").fetchone()
        children = connection.execute(
            "select r.experiment_id from runs r join tags t using (run_uuid) where t.key='mlflow.parentRunId' and t.value=?",
            parent[:1],
        ).fetchall()
        aliases = connection.execute("select name, alias from registered_model_aliases").fetchall()
        keys = {key for (key,) in connection.execute("select distinct key from metrics")}
        inputs = connection.execute("select count(*) from inputs where destination_type='RUN'").fetchone()
    connection.close()
    assert children == [parent[1:]] * 2, "below it, and in its experiment"
    assert aliases == [("small", "champion")]
    assert {"loss", "fid/fresh", "fid/real", "fid/start", "fid/noise", "chain/saturation", "best/fid/fresh"} <= keys
    assert inputs == (2,)
    artifacts = {str(path.relative_to(project)) for path in project.rglob("mlruns/**/artifacts/**/*.png")}
    for name in ("best_samples.png", "figures/history.png", "samples~fresh", "chain~schedule", "nearest_training"):
        assert any(name in artifact for artifact in artifacts), name


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_when_mlflow_run_is_gone_the_sweep_ends_in_order(project: Path, number: signal.Signals) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    launched = subprocess.Popen(
        mlflow_run(trials="2", name="orphan"), env=environment() | {"PATH": path}, start_new_session=True
    )
    try:
        wait_for(lambda: begun("loss"), 120)
        family = psutil.Process(launched.pid).children(recursive=True)
        os.kill(launched.pid, number)
        launched.wait()
        began = time.monotonic()
        _, alive = psutil.wait_procs(family, timeout=60)
        assert not alive, alive
        assert time.monotonic() - began < 45
    finally:
        if launched.poll() is None:
            launched.kill()
    assert statuses() == {"orphan": "KILLED", "trial 0": "KILLED", "trial 1": "KILLED"}
    assert [trial.state.name for trial in study("orphan").trials] == ["RUNNING", "RUNNING"]
    assert {path.parent.name for path in Path(".sweeps").rglob("checkpoint.pt")} == {"trial-0", "trial-1"}
    assert "0/2" in sweep("list").stdout


def test_mlflow_run_asks_for_the_settings_that_it_asked_for_at_197e99b(project: Path) -> None:
    earlier = json.loads((ROOT / "tests" / "fixtures" / "asked-settings-197e99b.json").read_text())
    _, _, _, small = earlier["played"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    parameters = {"trials": "4", "name": "again", "seed": "0", "set": " ".join(f"{k}={v}" for k, v in small.items())}
    done = subprocess.run(
        mlflow_run(**parameters), env=environment() | {"PATH": path}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    asked = [trial.params for trial in study("again").trials]
    assert asked == [trial["settings"] for trial in earlier["every_trial"][:4]]
