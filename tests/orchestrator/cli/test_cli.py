"""The command line as its user has it: a process, its output, its exit status."""

import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import pytest
from mlflow import MlflowClient

import studies
from orchestrator.search.book import SPEC
from tests.support.cli import GATED, sweep
from tests.support.paths import QUADRATIC
from tests.support.processes import LIMIT, Process, environment, wait_until_gone
from tests.support.stores import points_per_run, statuses, study, two_trials_train

Start = Callable[..., Process]


def test_run_show_list_and_resume(folder: Path) -> None:
    done = sweep("run", QUADRATIC, "--trials", "3", "--workers", "2", "--pruner", "none")
    assert done.returncode == 0, done.stderr
    assert "3/3 finished" in done.stdout and " show quadratic-digits-1" in done.stdout
    assert not done.stderr
    shown = sweep("show", "quadratic-digits-1").stdout
    assert len(re.findall(r"^ +\d  complete", shown, re.M)) == 3 and "★" in shown
    assert "3/3" in sweep("list").stdout
    more = sweep("resume", "quadratic-digits-1", "--trials", "5")
    assert more.returncode == 0 and "5/5 finished" in more.stdout
    again = sweep("resume", "quadratic-digits-1")
    assert again.returncode == 0 and "has all of its 5 trials" in again.stdout
    assert len(study("quadratic-digits-1").trials) == 5
    assert statuses() == {"quadratic-digits-1": "FINISHED"} | {f"trial {n}": "FINISHED" for n in range(5)}
    assert not list(Path(".sweeps").rglob("checkpoint*"))


def test_the_number_of_workers_does_not_change_a_deterministic_sweep(folder: Path) -> None:
    for workers in ("1", "2", "3"):
        options = ["--workers", workers, "--deterministic", "--trials", "6", "--name", f"w{workers}"]
        assert sweep("run", QUADRATIC, *options).returncode == 0
    one, two, three = ([(t.params, t.values, t.state) for t in study(f"w{n}").trials] for n in (1, 2, 3))
    assert one == two == three


def test_ctrl_c_stops_with_checkpoints_and_resume_goes_on(start: Start) -> None:
    process = start("run", QUADRATIC, "--name", "toy", "--trials", "3", "--workers", "2", *GATED)
    process.wait_for(two_trials_train)
    process.interrupt().finish()
    assert process.returncode == 130, process.output
    assert " resume toy" in process.stdout
    assert statuses() == {"toy": "KILLED", "trial 0": "KILLED", "trial 1": "KILLED"}
    assert {path.parent.name for path in Path(".sweeps").rglob("checkpoint.pt")} == {"trial-0", "trial-1"}

    Path("gate").touch()
    done = sweep("resume", "toy", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert statuses() == {"toy": "FINISHED", "trial 0": "FINISHED", "trial 1": "FINISHED", "trial 2": "FINISHED"}
    assert [trial.state.name for trial in study("toy").trials] == ["COMPLETE"] * 3
    assert points_per_run() == [(40, 40)] * 3, "no step was computed twice, none was lost"


def test_kill_9_of_the_supervisor_leaves_no_process_and_resume_completes_the_total(start: Start) -> None:
    process = start("run", QUADRATIC, "--name", "toy", "--trials", "3", "--workers", "2", *GATED)
    process.wait_for(two_trials_train)
    family = process.family()
    assert len(family) >= 3  # the fork server and two workers
    process.kill()
    wait_until_gone(family)
    assert {path.parent.name for path in Path(".sweeps").rglob("checkpoint.pt")} == {"trial-0", "trial-1"}

    Path("gate").touch()
    done = sweep("resume", "toy", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert [trial.state.name for trial in study("toy").trials] == ["COMPLETE"] * 3
    assert set(statuses().values()) == {"FINISHED"} and len(statuses()) == 4


def test_a_second_supervisor_is_turned_away(start: Start) -> None:
    process = start("run", QUADRATIC, "--name", "toy", "--trials", "3", "--workers", "2", *GATED)
    process.wait_for(two_trials_train)
    second = sweep("resume", "toy")
    assert second.returncode == 2
    assert f"is being driven by process {process.pid}" in second.stderr


def test_a_sweep_of_mlflow_run_in_another_folder_says_where_it_is(folder: Path) -> None:
    """MLflow runs the project in its own folder, and keeps the runs where `mlflow run` was typed."""
    elsewhere, project = folder / "elsewhere", folder / "my [project]"
    elsewhere.mkdir()
    project.mkdir()
    uri = f"sqlite:///{elsewhere / 'mlflow.db'}"
    client = MlflowClient(uri)
    run = client.create_run(client.create_experiment("quadratic", str(elsewhere / "mlruns"))).info.run_id
    variables = {"MLFLOW_RUN_ID": run, "MLFLOW_TRACKING_URI": uri}
    done = sweep("run", QUADRATIC, "--name", "toy", "--trials", "1", "--workers", "0", cwd=project, variables=variables)
    assert done.returncode == 0, done.stderr
    lines = dict(re.findall(r"^(all trials|pictures) +(.+)$", done.stdout, re.M))
    place = f"cd {shlex.quote(str(project))} && "
    assert lines["all trials"].startswith(place) and lines["pictures"].startswith(place)
    shown = subprocess.run(
        lines["all trials"], shell=True, cwd=elsewhere, env=environment(), capture_output=True, text=True, timeout=LIMIT
    )
    assert "1 of 1 trials finished" in shown.stdout, shown.stderr


def test_a_crash_is_told_with_its_error_and_nothing_completed_is_exit_1(folder: Path) -> None:
    done = sweep("run", QUADRATIC, "--trials", "1", "--set", "mode=crash")
    assert done.returncode == 1
    assert "RuntimeError: it was told to" in done.stdout


def test_dry_run_prints_the_plan_and_starts_nothing(folder: Path) -> None:
    done = sweep("run", "ebm", "--dry-run", "--fix", "start=noise", "--set", "width=8", "--trials", "7")
    assert done.returncode == 0, done.stderr
    assert re.search(r"training +about \d+ (seconds|minutes|hours|days), if no trial is pruned", done.stdout)
    for words in ("ebm-digits-1 (new)", "minimize fid/fresh", "= noise (held)", "step_size", "width", "7"):
        assert words in done.stdout
    assert sweep("list").stdout.startswith("no sweeps here yet")
    assert not list(folder.iterdir()), "looking leaves nothing behind"
    assert "no estimate: the study does not say what a trial computes" in sweep("run", QUADRATIC, "--dry-run").stdout


def test_a_sweep_of_more_than_a_day_asks_for_yes(folder: Path) -> None:
    long = ["run", "ebm", "--trials", "1", "--set", "blocks=1,width=4,network_evaluations=10000000000"]
    refused = sweep(*long)
    assert refused.returncode == 2 and not list(folder.iterdir()), refused.stderr
    assert re.search(
        r"ebm-digits-1 would take about \d+ days on this machine for 1 trial; start with --yes .* or --trials",
        refused.stderr,
    )
    started = sweep(*long, "--name", "long", "--yes", "--trial-timeout", "1")
    assert started.returncode == 1 and "1 trial on digits" in started.stdout, started.stderr
    limited = sweep(*long, "--timeout", "1")
    assert limited.returncode == 2 and "--yes" in limited.stderr, (
        "a trial that runs when the time is over ends normally"
    )
    assert sweep(*long, "--yes", "--dry-run").returncode == 0


def test_studies_shows_questions_and_spaces(folder: Path) -> None:
    everything = sweep("studies").stdout
    assert "ebm" in everything and "minimize fid/fresh" in everything and "noise | replay" in everything
    assert "residual blocks" in sweep("studies", "ebm").stdout


def test_empty_options_mean_not_given(folder: Path) -> None:
    """`mlflow run` passes every parameter, given or not."""
    empty = ["--name", "", "--timeout", "", "--workers", "", "--set", "", "--fix", "", "--storage", "", "--device", ""]
    done = sweep("run", QUADRATIC, "--trials", "1", *empty)
    assert done.returncode == 0, done.stderr
    told = study("quadratic-digits-1").user_attrs[SPEC]["command"]
    assert told.endswith(f"run {QUADRATIC} --trials 1"), "nor are they told"


BAD: list[tuple[list[str], str]] = [  # SHOP is the folder where it is typed
    (["run", "ebn"], "no study 'ebn'; did you mean ebm?"),
    (["run", "ebm", "--data", "digit"], "no data set 'digit'; did you mean digits?"),
    (["run", "ebm", "--data", "shapes"], "'shapes' holds point clouds, and this study reads images: digits, persian"),
    (
        ["run", "points", "--data", "digits"],
        "'digits' holds images, and this study reads point clouds: shapes, modelnet40:",
    ),
    (
        ["run", "points", "--set", "points=700"],
        "clouds of 'shapes' have 2048 points, and three samples are needed; use --set",
    ),
    (["run", "ebm", "--data", "halved:"], "'halved:' says not which images to halve; write halved:NAME, such as"),
    (["run", "ebm", "--data", "npz:absent.npz"], "absent.npz"),
    (["run", "ebm", "--data", "npz:floats.npz"], "uint8"),
    (["run", "ebm", "--data", "npz:flat.npz"], "flat.npz"),
    (["run", "jem", "--data", "npz:pairs.npz"], "npz:pairs.npz has 2 classes; say --set classes=2"),
    (
        ["run", "gan", "--set", "labels=both", "--data", "npz:dozen.npz"],
        "npz:dozen.npz has 12 classes and classes=10; say --set classes=12",
    ),
    (["run", "conditional_ebm", "--data", "npz:dozen.npz"], "has 12 classes; make room by --set classes=12"),
    (["run", "dvae", "--set", "halvings=4"], "images of 8×8 pixels cannot be halved 4 times"),
    (["run", "jem", "--set", "classifier=none.safetensors"], "none.safetensors: there is no such file; give a"),
    (["run", "jem", "--set", "classifier=flat.npz"], "flat.npz has no weights of this network"),
    (
        ["run", "wgan", "--set", "inception_weights=none.pth"],
        "inception_weights=SHOP/none.pth: there is no such file; give",
    ),
    (["compare", "jem", "--vary", "classes=10,20"], "the arm classes=20 cannot work: digits has 10 classes"),
    (["run", "ebm", "--set", "widht=8"], "--set widht: no such setting; did you mean width?"),
    (["run", "ebm", "--set", "width"], "--set width has no value"),
    (
        ["run", "jem", "--set", "norm=none,width=0"],
        "--set width=0: Input should be greater",
    ),  # none is a choice of norm
    (["run", "ebm", "--set", "width=8", "blocks=1"], "'blocks=1' follows no option; separate pairs with commas"),
    (["run", "ebm", "--set", "step_size=-1"], "--set step_size=-1: Input should be greater than 0"),
    (["run", "ebm", "--set", "step_size=8", "--fix", "step_size=9"], "step_size is held at 9.0 already"),
    (["compare", "ebm", "--vary", ""], "nothing is compared; name a setting"),
    (["run", "ebm", "--launcher", "locale"], "--launcher locale: did you mean local? there are local, inline"),
    (["run", "ebm", "--workers", "0", "--launcher", "local"], "--workers 0 runs trials in this process"),
    (["run", "ebm", "--set", "width=0"], "--set width=0: Input should be greater than or equal to 1"),
    (["run", "ebm", "--set", "width=wide"], "--set width=wide"),
    (["run", "ebm", "--set", "grad_clip=0.001"], "cannot cross the data range"),
    (
        ["run", "ebm", "--fix", "step_size=1000"],
        "step_size=1000 is outside the search space; step_size may be 2 … 30 log",
    ),
    (["run", "ebm", "--fix", "width=8"], "--fix width: the study does not search it"),
    *(
        (
            ["run", "ebm", "--name", name],
            f"--name {name!r} cannot be a name; use up to 100 of a-z A-Z 0-9 . _ - and begin",
        )
        for name in ("a/b", "hälb", "Ａ", "a b", " ", ".", "..", ".a", "-a", "_a", "a\n", "a" * 101)
    ),
    (["run", "ebm", "--name", "cache"], "--name cache is the name of a folder that all sweeps share; choose another"),
    (["run", "ebm", "--trials", "0"], "0"),
    (["run", "ebm", "--trials", "many"], "many"),
    (["run", "ebm", "--sampler", "tpee"], "--sampler tpee: did you mean tpe? there are tpe, random, grid, gp, cmaes"),
    (["run", "ebm", "--pruner", "axe"], "--pruner axe: there are median, asha, hyperband, none"),
    (["run", "ebm", "--deterministic", "--pruner", "asha"], "take median or none"),
    (["run", "ebm", "--device", "cuda:99"], "--device cuda:99: no such device here; there are: auto, cpu"),
    (["run", "ebm", "--device", "abacus"], "--device abacus: no device"),
    (
        ["run", "ebm", "--storage", "sqlite:////nowhere/at/all.db"],
        "--storage=sqlite:////nowhere/at/all.db lies in a folder that is not there; make it: mkdir -p /nowhere/at",
    ),
    (["run", "ebm", "--storage", "chisel"], "--storage=chisel is no database address"),
    (
        ["run", "ebm", "--tracking-uri", "sqlite:////nowhere/at/all.db"],
        "--tracking-uri=sqlite:////nowhere/at/all.db lies in a folder that is not there; make it: mkdir -p",
    ),
    (["run", "ebm", "--timeout", "-5"], "-5"),
    (["resume", "nobody"], "no sweep 'nobody' here"),
    (["resume", "toi"], "did you mean toy?"),
    (["show", "nobody"], "no sweep 'nobody' here"),
    (["run", "ebm", "--name", "toy"], "exists and asks another study"),
    (["run", "ebm", "--name", "foreign"], "an Optuna study that no sweep made"),
    (["ui", "--folder", "elsewhere"], "run a sweep there first"),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one sweep, a foreign study and unfit data."""
    folder = tmp_path_factory.mktemp("shop")
    done = sweep("run", QUADRATIC, "--name", "toy", "--trials", "1", cwd=folder)
    assert done.returncode == 0, done.stderr
    optuna.create_study(study_name="foreign", storage=f"sqlite:///{folder / 'sweeps.db'}")
    labels = np.arange(20) % 2
    parts = {"y_train": labels, "y_test": labels}
    floats, flat = np.zeros((20, 8, 8)), np.zeros((20, 64), np.uint8)
    np.savez(folder / "floats.npz", x_train=floats, x_test=floats, **parts)
    np.savez(folder / "flat.npz", x_train=flat, x_test=flat, **parts)
    for name, classes in (("pairs", 2), ("dozen", 12)):
        images, labels = np.arange(48 * 64, dtype=np.uint8).reshape(48, 8, 8), np.arange(48) % classes
        np.savez(folder / f"{name}.npz", x_train=images, x_test=images, y_train=labels, y_test=labels)
    (folder / "elsewhere").mkdir()
    return folder


@pytest.mark.parametrize(("arguments", "sentence"), BAD, ids=[" ".join(arguments)[:60] for arguments, _ in BAD])
def test_bad_input_is_refused_in_one_sentence_before_anything_starts(
    shop: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    """In this process, for speed; the next test does it in one of its own."""
    from click.testing import CliRunner

    from orchestrator.cli.main import main

    monkeypatch.chdir(shop)
    before = statuses()
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2, done.output
    assert sentence.replace("SHOP", str(shop)) in " ".join(done.stderr.split()), done.stderr
    assert not done.stdout
    assert statuses() == before
    assert optuna.get_all_study_names(f"sqlite:///{shop / 'sweeps.db'}") == ["toy", "foreign"]


def test_a_variable_that_cannot_be_is_named(folder: Path) -> None:
    refused = sweep("run", QUADRATIC, variables={"SWEEP_YES": "foo"})
    assert refused.returncode == 2 and "--yes" not in refused.stderr and not list(folder.iterdir())
    assert refused.stderr == "Error: SWEEP_YES=foo is neither yes nor no; set SWEEP_YES to 1 or 0, or unset it\n"


def test_a_refusal_as_its_user_sees_it(folder: Path) -> None:
    done = sweep("run", "ebn")
    assert (done.returncode, done.stdout) == (2, "")
    known = f"{', '.join(studies.names())}, or a path/to/study.py of your own"
    assert done.stderr == f"Error: no study 'ebn'; did you mean ebm? there are: {known}\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_is_not_writable_is_refused(folder: Path) -> None:
    folder.chmod(0o500)
    try:
        done = sweep("run", QUADRATIC)
    finally:
        folder.chmod(0o700)
    assert done.returncode == 2 and "cannot be opened" in done.stderr
