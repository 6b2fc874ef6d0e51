"""A sweep is steered from another terminal: it acts within two seconds, and keeps who asked for what."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from tests.support.place import Place, wait_for

pytestmark = pytest.mark.slow
LONG = {"seconds": 0.1, "steps": 150, "journal": "journal"}


@pytest.fixture
def place(folder: Path) -> Iterator[Place]:
    stores = {"SWEEP_STORAGE": f"sqlite:///{folder}/sweeps.db", "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    made = Place(folder, stores)
    yield made
    made.close()


def started(place: Place, *options: str, **settings: Any) -> subprocess.Popen[str]:
    process = place.start(
        *place.run("--pruner", "none", "--workers", "2", "--trials", "4", *options, **LONG | settings)
    )
    wait_for(place.begun(2))
    return process


def control(place: Place, *arguments: str) -> tuple[str, float]:
    """What the supervisor answers, and how long after it was asked."""
    done = place.sweep(*arguments)
    asked = notes(place)
    assert done.returncode == 0, done.stderr
    _, request = max(asked.items())
    assert request["answer"] in " ".join(done.stdout.split())
    return str(request["answer"]), float(request["seconds"])


def notes(place: Place) -> dict[str, dict[str, Any]]:
    """Everything that was asked."""
    study = optuna.load_study(study_name="toy", storage=place.stores["SWEEP_STORAGE"])
    return {key: value for key, value in study.user_attrs.items() if key.startswith("request/")}


def test_stop_lets_running_trials_end(place: Place) -> None:
    process = started(place, steps=80)
    answer, took = control(place, "stop", "toy")
    assert answer == "no trial is started any more, 2 trials to be ended" and took < 2
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "ended early: stopped" in out
    assert [trial.state.name for trial in place.trials()] == ["COMPLETE"] * 2
    assert place.runs()["toy"].data.tags["outcome"] == "stopped"
    shown = place.sweep("show", "toy").stdout
    assert re.search(r"stop by \S+@\S+: no trial is started any more", shown)
    done = place.sweep("resume", "toy", "--workers", "2", "--trials", "3")
    assert done.returncode == 0 and "3/3 finished" in done.stdout


def test_stop_now_leaves_checkpoints(place: Place) -> None:
    process = started(place)
    answer, took = control(place, "stop", "toy", "--now")
    assert answer == "2 trials to leave with a checkpoint" and took < 2
    process.communicate(timeout=15)
    assert process.returncode == 0 or not place.trials()[0].state.is_finished()
    assert len(list(place.folder.rglob("checkpoint.pt"))) == 2
    assert {run.info.status for run in place.runs().values()} == {"KILLED"}


def test_pause_frees_the_machine_and_resume_goes_on(place: Place) -> None:
    process = started(place, steps=60)
    assert control(place, "pause", "toy")[0] == "2 trials to leave with a checkpoint"
    wait_for(lambda: not place.workers(), 5)
    computed = len((place.folder / "journal").read_text().splitlines())
    time.sleep(1.5)
    assert len((place.folder / "journal").read_text().splitlines()) == computed, "nothing is computed"
    assert "paused, driven by process" in place.sweep("show", "toy").stdout
    answer, took = control(place, "resume", "toy")
    assert answer == "2 trials to go on" and took < 2
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    place.check(4, 60)


def test_a_paused_sweep_hears_ctrl_c(place: Place) -> None:
    process = started(place)
    control(place, "pause", "toy")
    wait_for(lambda: not place.workers(), 5)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130


def test_extend_and_skip_and_enqueue_while_it_runs(place: Place) -> None:
    process = started(place, steps=150)
    assert control(place, "extend", "toy", "--trials", "5")[0] == "its total is 5"
    answer, took = control(place, "skip", "toy", "1")
    assert answer == "trial 1 is pruned" and took < 2
    wait_for(lambda: place.trials()[1].state.name == "PRUNED", 2)
    assert control(place, "skip", "toy", "1")[0] == "trial 1 does not run"
    assert control(place, "enqueue", "toy", "x=0.25")[0] == "it is tried next"
    assert control(place, "extend", "toy", "--trials", "1")[0].startswith("it has ")
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    place.check(5, 150, complete=4, pruned=1)
    assert place.trials()[1].user_attrs["reason"] == "skipped"
    assert 0.25 in [trial.params["x"] for trial in place.trials()]
    assert [request["do"] for _, request in sorted(notes(place).items())] == [
        "extend",
        "skip",
        "skip",
        "enqueue",
        "extend",
    ]


@pytest.mark.long
def test_time_is_extended(place: Place) -> None:
    process = started(place, "--timeout", "10", steps=120)
    assert "another 60 s" in control(place, "extend", "toy", "--timeout", "60")[0]
    out, _ = process.communicate(timeout=60)
    assert "4/4 finished" in out


def test_what_may_be_asked_of_a_sweep_that_nobody_drives(place: Place) -> None:
    assert place.sweep(*place.run("--trials", "2", steps=3, seconds=0)).returncode == 0
    for command in (["stop", "toy"], ["pause", "toy"], ["skip", "toy", "0"]):
        done = place.sweep(*command)
        assert done.returncode == 2 and "nobody drives sweep 'toy'" in done.stderr
    for settings, sentence in {
        "x=7": "x=7 is outside the search space; x may be -1 … 1",
        "y=1": "y: sweep 'toy' does not search it; it searches x",
        "x": "x has no value; write x=VALUE",
    }.items():
        done = place.sweep("enqueue", "toy", settings)
        assert done.returncode == 2 and sentence in done.stderr, done.stderr
    done = place.sweep("enqueue", "toy", "x=0.125")
    assert done.returncode == 0 and "tried first when the sweep goes on" in done.stdout
    assert "is the sweep's total and 2 are finished" in place.sweep("extend", "toy", "--trials", "1").stderr
    assert "its total is 4" in place.sweep("extend", "toy", "--trials", "4").stdout
    done = place.sweep("resume", "toy")
    assert done.returncode == 0 and [trial.params["x"] for trial in place.trials()][2] == 0.125
    assert "no sweep 'toi' here; did you mean toy?" in place.sweep("stop", "toi").stderr


def test_watching_from_another_terminal(place: Place) -> None:
    process = started(place, steps=50)
    watched = place.sweep("show", "toy", "--watch")
    assert watched.returncode == 0, watched.stderr
    assert "toy: running · 0/4 finished" in watched.stdout
    assert "4/4 finished · best distance" in watched.stdout and "★" in watched.stdout
    process.communicate(timeout=30)


def test_remove_asks_first_and_takes_everything(place: Place) -> None:
    assert place.sweep(*place.run("--trials", "2", steps=3, seconds=0)).returncode == 0
    process = place.start("rm", "toy")
    out, err = process.communicate(timeout=30)  # nobody says yes
    assert process.returncode == 1 and len(place.trials()) == 2
    assert "remove sweep 'toy' with its 2 trials, files and MLflow runs?" in out
    done = place.sweep("rm", "toy", "--yes")
    assert done.returncode == 0, done.stderr
    assert optuna.get_all_study_names(place.stores["SWEEP_STORAGE"]) == []
    assert not place.runs() and not (place.folder / ".sweeps" / "toy").exists()


def test_remove_may_keep_the_runs(place: Place) -> None:
    assert place.sweep(*place.run("--trials", "1", steps=3, seconds=0)).returncode == 0
    assert place.sweep("rm", "toy", "--yes", "--keep-runs").returncode == 0
    assert set(place.runs()) == {"toy", "trial 0"}
    again = place.sweep(*place.run("--trials", "1", steps=3, seconds=0))
    assert again.returncode == 0, "the name is free again, and its runs are its own"


@pytest.mark.long
def test_a_sweep_that_is_driven_is_not_removed(place: Place) -> None:
    process = started(place)
    done = place.sweep("rm", "toy", "--yes")
    assert done.returncode == 2 and f"is being driven by process {process.pid}" in done.stderr
    assert process.poll() is None
