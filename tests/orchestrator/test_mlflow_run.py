"""`mlflow run . -e ebm_sweep`, as a user types it, on a copy of the project; and its sudden death."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from tests.support.cli import sweep
from tests.support.paths import ROOT
from tests.support.processes import Process, kill, python, wait_until_gone
from tests.support.stores import query, statuses, study, two_trials_train

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
    command = python("-m", "mlflow", "run", ".", "-e", "ebm_sweep", "--env-manager", "local")
    return command + [part for key, value in parameters.items() for part in ("-P", f"{key}={value}")]


def begin(project: Path, **parameters: str) -> Process:
    """Start `mlflow run`, which runs the first python on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return Process(mlflow_run(**parameters), project, {"PATH": path})


def test_mlflow_run_searches_and_its_own_run_is_the_parent(project: Path) -> None:
    small = "network_evaluations=1200 evaluation_samples=64 width=8"
    done = begin(project, trials="2", name="small", set=small).finish()
    assert done.returncode == 0, done.stderr
    assert "2/2 finished" in done.stdout and " ui " in done.stdout and "fid/fresh" in done.stdout
    assert statuses() == {"small": "FINISHED", "trial 0": "FINISHED", "trial 1": "FINISHED"}
    (parent,) = query("select run_uuid, experiment_id from runs where name='small'")
    children = query(
        "select r.experiment_id from runs r join tags t using (run_uuid) where t.key='mlflow.parentRunId' and t.value=?",
        parent[0],
    )
    aliases = query("select name, alias from registered_model_aliases")
    keys = {key for (key,) in query("select distinct key from metrics")}
    ((inputs,),) = query("select count(*) from inputs where destination_type='RUN'")
    assert children == [parent[1:]] * 2, "below it, and in its experiment"
    assert aliases == [("small", "champion")]
    assert {"loss", "fid/fresh", "fid/real", "fid/start", "fid/noise", "chain/saturation", "best/fid/fresh"} <= keys
    assert inputs == 2
    artifacts = {str(path.relative_to(project)) for path in project.rglob("mlruns/**/artifacts/**/*.png")}
    for name in ("best_samples.png", "figures/history.png", "samples~fresh", "chain~schedule", "nearest_training"):
        assert any(name in artifact for artifact in artifacts), name


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_when_mlflow_run_is_gone_the_sweep_ends_in_order(project: Path, number: signal.Signals) -> None:
    launched = begin(project, trials="2", name="orphan")
    try:
        launched.wait_for(lambda: two_trials_train("loss"))
        family = launched.family()
        kill(launched.pid, number)
        launched.finish()
        wait_until_gone(family)
    finally:
        launched.close()
    assert statuses() == {"orphan": "KILLED", "trial 0": "KILLED", "trial 1": "KILLED"}
    assert [trial.state.name for trial in study("orphan").trials] == ["RUNNING", "RUNNING"]
    assert {path.parent.name for path in Path(".sweeps").rglob("checkpoint.pt")} == {"trial-0", "trial-1"}
    assert "0/2" in sweep("list").stdout


def test_mlflow_run_asks_for_the_settings_that_it_asked_for_at_197e99b(project: Path) -> None:
    earlier = json.loads((ROOT / "tests" / "fixtures" / "asked-settings-197e99b.json").read_text())
    _, _, _, small = earlier["played"]
    parameters = {"trials": "4", "name": "again", "seed": "0", "set": " ".join(f"{k}={v}" for k, v in small.items())}
    done = begin(project, **parameters).finish()
    assert done.returncode == 0, done.stderr
    asked = [trial.params for trial in study("again").trials]
    assert asked == [trial["settings"] for trial in earlier["every_trial"][:4]]
