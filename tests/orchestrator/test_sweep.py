"""Sweeps from Python: what the command line does, with values; tables, figures and pictures; refusals in one sentence."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from orchestrator import sweep, text
from orchestrator.stores import sqlite
from tests.support import variables
from tests.support.clinic import everything
from tests.support.paths import QUADRATIC
from tests.support.processes import LIMIT, environment


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sweep.Sweep]:
    """Six trials, of which those below 0 diverge."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("place"))
        variables.unset(patch)
        settings = {"steps": 3, "mode": "left"}
        yield sweep.run(QUADRATIC, trials=6, name="toy", set=settings, sampler="random", seed=1, workers=0, quiet=True)


def test_a_sweep_is_a_table_its_best_trial_and_its_pictures(toy: sweep.Sweep) -> None:
    table = toy.trials
    assert list(table.columns) == ["outcome", "distance", "seconds", "run", "x"] and list(table.index) == list(range(6))
    lost = table["x"] < 0
    assert lost.any() and set(table[lost]["outcome"]) == {"diverged"} and table[lost]["distance"].isna().all()
    done = table[table["outcome"] == "complete"]
    assert toy.best.number == done["distance"].idxmin() and toy.best.value == pytest.approx(done["distance"].min())
    assert toy.best.settings["x"] == table["x"][toy.best.number] and toy.best.config["mode"] == "left"
    assert toy.best.samples is not None and toy.best.samples.size == (212, 56), "four images of 48 pixels"
    by_step = toy.metric("distance")
    assert list(by_step.index) == [1, 2, 3] and by_step.iloc[-1] == pytest.approx(toy.best.value)
    assert toy.figure().width > 500 and toy.sample(16, seed=2).size == (8 * 52 + 4, 2 * 52 + 4)
    assert toy.report().read_text().count("<h2>") > 5
    shown = toy._repr_html_()
    assert "6 of 6 trials ended" in shown and f"Trial {toy.best.number} is the best" in shown and "<table" in shown
    assert "data:image/png" in shown and "data:image/png" in toy.best._repr_html_()


def test_it_is_the_sweep_that_the_command_line_makes(toy: sweep.Sweep) -> None:
    words = f"run {QUADRATIC} --trials 6 --sampler random --name toy --set steps=3 --set mode=left --seed 1"
    assert toy._book.spec.command == f"{text.program()} {words}"
    assert "toy" in sweep.names() and sweep.load("toy").best.value == toy.best.value


def test_resuming_is_seen_by_all_that_look_at_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = sweep.run(QUADRATIC, trials=1, name="more", workers=0, quiet=True)
    assert not capsys.readouterr().out
    more = sweep.load("more").resume(trials=2, workers=0)
    assert "2/2 finished" in capsys.readouterr().out
    assert len(more.trials) == len(first.trials) == 2 and repr(first) == "<Sweep more: 2 of 2 trials>"


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda s: sweep.load("tyo"), "no sweep 'tyo' here; did you mean toy?"),
        (lambda s: s.figure("nothing"), "toy has no figure nothing; it has history, "),
        (lambda s: s.metric("loss"), "logged no loss; what there is: distance, noise, seconds/"),
        (lambda s: s.trial(9), "trial 9 of 'toy' is not completed; these are: "),
        (lambda s: sweep.run("ebn"), "no study 'ebn'; did you mean ebm"),
        (lambda s: sweep.run(QUADRATIC, fix={"x": 9}), "x=9 is outside the search space"),
        (lambda s: sweep.run(QUADRATIC, set={"x": 0.5}, fix={"x": 1}), "x is held at 1.0 already; give it one value"),
        (lambda s: sweep.run(QUADRATIC, trails=3), "sweep.run has no option trails; did you mean trials?"),
        (lambda s: sweep.compare(QUADRATIC, {"x": [0, 1]}, trials=3), "sweep.compare has no option trials; "),
        (lambda s: s.resume(devise="cpu"), "Sweep.resume has no option devise; did you mean device?"),
        (lambda s: s.resume(trails=3), "Sweep.resume has no option trails; did you mean trials?"),
        (lambda s: s.resume(foo=1), "trials, sampler, pruner, tracking_uri, accept_drift, workers, .*, quiet$"),
        (lambda s: sweep.run(QUADRATIC, fix={"x": [1]}), r"fix={'x': \[1\]}: give x one value: a number, a text"),
        (lambda s: sweep.run(QUADRATIC, fix={"x": np.array([1])}), r"fix={'x': array\(\[1\]\)}: give x one value"),
        (lambda s: sweep.run(QUADRATIC, fix={"x": {}}), "fix={'x': {}}: give x one value"),
        (lambda s: sweep.run(QUADRATIC, fix={1: 2}), "fix={1: 2}: 1 cannot be a setting; give its name as a text"),
        (lambda s: sweep.run(QUADRATIC, fix={"x=0.5": 1}), "'x=0.5' cannot be a setting"),
        (lambda s: sweep.run(QUADRATIC, set={"x": None}), "--set x=none: Input should be a valid number"),
        (lambda s: sweep.run(QUADRATIC, set={"steps": (3,)}), r"set={'steps': \(3,\)}: give steps one value"),
        (lambda s: sweep.run(QUADRATIC, set={"steps": b"3"}), "set={'steps': b'3'}: give steps one value"),
        (lambda s: sweep.compare(QUADRATIC, {"x": [0.1, [0.2]]}), "give x a list of values: a number, a text"),
        (lambda s: sweep.compare(QUADRATIC, {"x": {0.1, 0.2}}), "give x a list of values"),
        (
            lambda s: sweep.run(QUADRATIC, name="a b"),
            "--name 'a b' cannot be a name; use up to 100 of a-z A-Z 0-9 . _ -",
        ),
        (lambda s: sweep.run(QUADRATIC, name="a\n"), r"--name 'a\\n' cannot be a name"),
        (lambda s: sweep.run(QUADRATIC, trials=0), "--trials 0: the lowest value is 1"),
        (lambda s: sweep.run(QUADRATIC, workers=0, launcher="local"), "--workers 0 runs trials in this process"),
        (lambda s: sweep.compare(QUADRATIC, {"x": [0.3]}), "nothing to compare"),
        (lambda s: sweep.compare(QUADRATIC, {}), "vary={}: nothing is compared; give settings"),
        (lambda s: sweep.compare(QUADRATIC, None), "vary=None: give a mapping of settings to values, or a list of"),
        (lambda s: sweep.compare(QUADRATIC, "x=0,1"), "vary='x=0,1': give a mapping"),
        (lambda s: sweep.compare(QUADRATIC, {"x": 3}), "--vary x=3: nothing to compare"),
        (lambda s: sweep.run(None), "study=None: give a text"),
        (lambda s: sweep.run(["ebm"]), r"study=\['ebm'\]: give a text"),
        (lambda s: sweep.run(QUADRATIC, trials="x"), "trials='x': give a whole number"),
        (lambda s: sweep.run(QUADRATIC, trials=2.0), "trials=2.0: give a whole number"),
        (lambda s: sweep.run(QUADRATIC, trials=True), "trials=True: give a whole number"),
        (lambda s: sweep.run(QUADRATIC, workers="2"), "workers='2': give a whole number"),
        (lambda s: sweep.run(QUADRATIC, seed=[1]), r"seed=\[1\]: give a whole number"),
        (lambda s: sweep.run(QUADRATIC, set="steps=3"), "set='steps=3': give a mapping"),
        (lambda s: sweep.run(QUADRATIC, fix=[("x", 0.5)]), r"fix=\[\('x', 0.5\)\]: give a mapping"),
        (lambda s: sweep.run(QUADRATIC, fix=0.5), "fix=0.5: give a mapping"),
        (lambda s: sweep.run(QUADRATIC, device=3), "device=3: give a text"),
        (lambda s: sweep.run(QUADRATIC, name=7), "name=7: give a text"),
        (lambda s: sweep.run(QUADRATIC, sampler=["tpe"]), r"sampler=\['tpe'\]: give a text"),
        (lambda s: sweep.run(QUADRATIC, deterministic="yes"), "deterministic='yes': give True or False"),
        (lambda s: sweep.run(QUADRATIC, quiet="no"), "quiet='no': give True or False"),
        (lambda s: sweep.run(QUADRATIC, timeout="1h"), "timeout='1h': give a number"),
        (lambda s: sweep.run(QUADRATIC, timeout=float("nan")), "timeout=nan: give a number"),
        (lambda s: sweep.run(QUADRATIC, trial_timeout=float("inf")), "trial_timeout=inf: give a number"),
        (lambda s: sweep.run(QUADRATIC, timeout=1e300), "--timeout 1e[+]300: the highest value is 1e[+]08"),
        (lambda s: sweep.run(QUADRATIC, timeout=-1), "--timeout -1.0: give a value above 0"),
        (lambda s: sweep.run(QUADRATIC, storage=3), "storage=3: give a text"),
        (lambda s: s.resume("3"), "trials='3': give a whole number"),
        (lambda s: s.resume(7, workers="2"), "workers='2': give a whole number"),
        (lambda s: s.resume(7, quiet=1), "quiet=1: give True or False"),
        (lambda s: s.sample(0), "--n 0: the lowest value is 1"),
        (lambda s: s.sample(None), "n=None: give a whole number"),
        (lambda s: s.sample(10**6), "--n 1000000: the highest value is 10000"),
        (lambda s: s.sample(4, seed="a"), "seed='a': give a whole number"),
        (lambda s: s.sample(4, trial="0"), "trial='0': give a whole number"),
        (lambda s: s.sample(4, device=None), "device=None: give a text"),
        (lambda s: s.trial("best"), "trial='best': give a whole number"),
        (lambda s: s.trial(-1), "--trial -1: the lowest value is 0"),
        (lambda s: s.metric(None), "key=None: give a text"),
        (lambda s: s.figure(3), "name=3: give a text"),
        (lambda s: s.report(3), "path=3: give a text"),
        (lambda s: s.report("."), " is a folder; name a file in it"),
        (lambda s: s.report("absent/report.html"), "there is no folder .*/absent; make it first"),
        (lambda s: sweep.load(None), "name=None: give a text"),
        (lambda s: sweep.names(3), "storage=3: give a text"),
    ],
)
def test_what_cannot_be_is_refused(toy: sweep.Sweep, ask: object, words: str) -> None:
    before = everything()
    with pytest.raises(sweep.UserError, match=words) as refused:
        ask(toy)  # type: ignore[operator]
    assert "\n" not in str(refused.value) and everything() == before


def test_a_comparison_has_its_figure(folder: Path) -> None:
    settings = {"steps": 3, "jitter": 0.1}
    arms = sweep.compare(QUADRATIC, {"x": [0.3, 0.9]}, seeds=3, set=settings, name="arms", workers=0, quiet=True)
    assert arms.figure("comparison").width > 800 and list(arms.trials["x"]) == [0.3, 0.9] * 3


def test_setting_a_searched_parameter_holds_it_as_fixing_does(folder: Path) -> None:
    held = sweep.run(QUADRATIC, trials=1, set={"x": 0.5, "steps": 3}, name="set", workers=0, quiet=True)
    fixed = sweep.run(QUADRATIC, trials=1, fix={"x": 0.5}, set={"steps": 3}, name="fix", workers=0, quiet=True)
    one, other = held._book.spec, fixed._book.spec
    assert one.fixed == {"x": 0.5} and not one.same_search(other)
    assert held.best.settings == fixed.best.settings == {"x": 0.5}


def test_a_sweep_inside_mlflow_run_goes_to_the_run_that_is_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = MlflowClient(sqlite.absolute("sqlite:///mlflow.db"))
    parent = client.create_run(client.create_experiment("elsewhere"), run_name="made")
    monkeypatch.setenv("MLFLOW_RUN_ID", parent.info.run_id)
    toy = sweep.run(QUADRATIC, trials=1, set={"steps": 3}, workers=0, quiet=True)
    assert toy._book.spec.run == parent.info.run_id
    assert client.get_run(toy.best.run).info.experiment_id == parent.info.experiment_id


def test_a_script_needs_no_guard(folder: Path) -> None:
    """Workers do not import the program that started them, which would begin the sweep in each of them."""
    code = f"from orchestrator import sweep\nprint(sweep.run({QUADRATIC!r}, trials=3, workers=2, quiet=True))\n"
    Path("script.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "script.py"], capture_output=True, text=True, timeout=LIMIT, env=environment()
    )
    assert done.stdout == "<Sweep quadratic-digits-1: 3 of 3 trials>\n" and done.returncode == 0, done.stderr
    assert set(sweep.load("quadratic-digits-1").trials["outcome"]) <= {"complete", "pruned"}
