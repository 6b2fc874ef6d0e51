"""A sweep is steered from another terminal, and keeps who asked for what. benchmarks/ measure how soon it acts."""

import json
import re
from typing import Any

import optuna
import pytest

from tests.support.place import Place
from tests.support.processes import Process

pytestmark = pytest.mark.slow
GATED = {"steps": 40, "journal": "journal", "gate": "gate"}


def begin(place: Place, *options: str, **settings: Any) -> Process:
    """Start a sweep of four trials; the first two wait at the gate."""
    arguments = ("--pruner", "none", "--workers", "2", "--trials", "4", *options)
    process = place.start(*place.run(*arguments, **GATED | settings))
    process.wait_for(place.computed(2, step=GATED["steps"] // 2))
    return process


def control(place: Place, *arguments: str) -> str:
    """What the supervisor answers."""
    done = place.sweep(*arguments)
    asked = notes(place)
    assert done.returncode == 0, (done.stderr, place.sweep("show", "toy").stdout)
    _, request = max(asked.items())
    assert request["answer"] in " ".join(done.stdout.split()) and request["seconds"] > 0
    return str(request["answer"])


def refuse(place: Place, *arguments: str, sentence: str) -> None:
    """What is refused before the supervisor is asked."""
    before = notes(place)
    done = place.sweep(*arguments)
    assert done.returncode == 2 and sentence in done.stderr, done.output
    assert notes(place) == before


def notes(place: Place) -> dict[str, dict[str, Any]]:
    """Everything that was asked."""
    study = optuna.load_study(study_name="toy", storage=place.stores["SWEEP_STORAGE"])
    return {key: value for key, value in study.user_attrs.items() if key.startswith("request/")}


def test_stop_lets_running_trials_end(place: Place) -> None:
    process = begin(place)
    answer = control(place, "stop", "toy")
    assert answer == "no trial is started any more, 2 trials to be ended"
    place.open_gate()
    assert process.finish().returncode == 0 and "ended early: stopped" in process.stdout
    assert [trial.state.name for trial in place.trials()] == ["COMPLETE"] * 2
    assert place.runs()["toy"].data.tags["outcome"] == "stopped"
    shown = place.sweep("show", "toy").stdout
    assert re.search(r"stop by \S+@\S+: no trial is started any more", shown)
    done = place.sweep("resume", "toy", "--workers", "2", "--trials", "3")
    assert done.returncode == 0 and "3/3 finished" in done.stdout


def test_stop_now_leaves_checkpoints(place: Place) -> None:
    process = begin(place)
    answer = control(place, "stop", "toy", "--now")
    assert answer == "2 trials to leave with a checkpoint"
    process.finish()
    assert process.returncode == 0 or not place.trials()[0].state.is_finished()
    assert len(list(place.folder.rglob("checkpoint.pt"))) == 2
    assert {run.info.status for run in place.runs().values()} == {"KILLED"}
    assert re.search(r" 0/4 +2 stopped ", place.sweep("list").stdout)
    shown = json.loads(place.sweep("show", "toy", "--json").stdout)
    assert (shown["running"], [trial["outcome"] for trial in shown["every_trial"]]) == (0, ["stopped"] * 2)
    assert place.sweep("show", "toy").stdout.count("stopped") == 2
    assert "trial 1 of toy: stopped" in place.sweep("show", "toy", "1").stdout


def test_pause_frees_the_machine_and_resume_goes_on(place: Place) -> None:
    process = begin(place)
    assert control(place, "pause", "toy") == "2 trials to leave with a checkpoint"
    process.wait_for(lambda: not place.workers())
    place.open_gate()
    computed = (place.folder / "journal").read_text()
    process.wait_for(lambda: "paused, driven by process" in place.sweep("show", "toy").stdout)
    assert (place.folder / "journal").read_text() == computed, "nothing is computed"
    answer = control(place, "resume", "toy")
    assert answer == "2 trials to go on"
    assert process.finish().returncode == 0, process.output
    place.check(4, 40)


def test_a_paused_sweep_hears_ctrl_c(place: Place) -> None:
    process = begin(place)
    control(place, "pause", "toy")
    process.wait_for(lambda: not place.workers())
    assert process.interrupt().finish().returncode == 130


def test_extend_and_skip_and_enqueue_while_it_runs(place: Place) -> None:
    process = begin(place)
    assert control(place, "extend", "toy", "--trials", "5") == "its total is 5"
    answer = control(place, "skip", "toy", "1")
    assert answer == "trial 1 is pruned"
    process.wait_for(lambda: place.trials()[1].state.name == "PRUNED")
    refuse(place, "skip", "toy", "1", sentence="trial 1 of 'toy' does not run; these do: 0")
    assert control(place, "enqueue", "toy", "x=0.25") == "it is tried next"
    refuse(place, "extend", "toy", "--trials", "1", sentence="is the sweep's total and ")
    place.open_gate()
    assert process.finish().returncode == 0, process.output
    place.check(5, 40, complete=4, pruned=1)
    assert place.trials()[1].user_attrs["reason"] == "skipped"
    assert 0.25 in [trial.params["x"] for trial in place.trials()]
    assert [request["do"] for _, request in sorted(notes(place).items())] == [
        "extend",
        "skip",
        "enqueue",
    ]


@pytest.mark.long
def test_time_is_extended(place: Place) -> None:
    process = begin(place, "--timeout", "2")
    assert "another 600 s" in control(place, "extend", "toy", "--timeout", "600")
    place.open_gate()
    assert "4/4 finished" in process.finish().stdout


def test_what_may_be_asked_of_a_sweep_that_nobody_drives(place: Place) -> None:
    assert place.sweep(*place.run("--trials", "2", steps=3)).returncode == 0
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
    process = begin(place)
    watched = place.start("show", "toy", "--watch")
    watched.wait_for(lambda: "toy: running · 0/4 finished" in watched.stdout)
    place.open_gate()
    watched.finish()
    assert watched.returncode == 0, watched.stderr
    assert "4/4 finished · best distance" in watched.stdout and "★" in watched.stdout
    process.finish()


def test_remove_asks_first_and_takes_everything(place: Place) -> None:
    assert place.sweep(*place.run("--trials", "2", steps=3)).returncode == 0
    refused = place.sweep("rm", "toy")  # nobody says yes
    assert refused.returncode == 1 and len(place.trials()) == 2
    assert "remove sweep 'toy' with its 2 trials, files and MLflow runs?" in refused.stdout
    done = place.sweep("rm", "toy", "--yes")
    assert done.returncode == 0, done.stderr
    assert optuna.get_all_study_names(place.stores["SWEEP_STORAGE"]) == []
    assert not place.runs() and not (place.folder / ".sweeps" / "toy").exists()


def test_remove_may_keep_the_runs(place: Place) -> None:
    assert place.sweep(*place.run("--trials", "1", steps=3)).returncode == 0
    assert place.sweep("rm", "toy", "--yes", "--keep-runs").returncode == 0
    assert set(place.runs()) == {"toy", "trial 0"}
    again = place.sweep(*place.run("--trials", "1", steps=3))
    assert again.returncode == 0, "the name is free again, and its runs are its own"


@pytest.mark.long
def test_a_sweep_that_is_driven_is_not_removed(place: Place) -> None:
    process = begin(place)
    done = place.sweep("rm", "toy", "--yes")
    assert done.returncode == 2 and f"is being driven by process {process.pid}" in done.stderr
    assert process.returncode is None
