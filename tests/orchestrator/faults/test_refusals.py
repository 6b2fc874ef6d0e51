"""A refused command changes nothing: no row of a store, no file. Every command, and every kind of refusal that it has."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator import sweep
from orchestrator.cli.main import main
from tests.support import cli, variables
from tests.support.paths import QUADRATIC
from tests.support.processes import Process
from tests.support.refusals import VALID, Refusal, all_refusals, difference, folder_of_sweeps, refused, snapshot
from tests.support.servers import Postgresql
from tests.support.stores import two_trials_train


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """See folder_of_sweeps."""
    folder = tmp_path_factory.mktemp("busy")
    with pytest.MonkeyPatch.context() as patch:
        variables.unset(patch)
        with folder_of_sweeps(folder):
            yield folder


def test_every_command_is_tried() -> None:
    assert set(VALID) == set(main.commands), "write here with which arguments a new command is not refused"


def test_a_refused_command_changes_nothing(busy: Path) -> None:
    wrong: dict[str, str] = {}
    before = snapshot(busy)
    for refusal in all_refusals():
        problem = refused(refusal)
        after = snapshot(busy)
        if problem or before != after:
            changed = ", ".join(difference(before, after))
            wrong[f"{refusal.kind}: {' '.join(refusal.arguments)}"] = f"{problem} changed: {changed}"
        before = after
    assert not wrong, "\n".join(f"{command}\n    {problem}" for command, problem in wrong.items())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sweep.load("toy").resume(trials=7, workers=0), "is being driven by process"),
        (
            lambda: sweep.run(QUADRATIC, name="toy", trials=7, pruner="none", set={"steps": 40, "gate": "gate"}),
            "driven",
        ),
        (lambda: sweep.load("done").resume(trials=7, device="abacus"), "--device abacus"),
        (lambda: sweep.load("done").resume(trials=7, workers=0, launcher="local"), "--workers 0"),
        (lambda: sweep.load("done").resume(trials=1, workers=0), "2 are finished already"),
        (lambda: sweep.load("mine").resume(trials=7, workers=0), "its study has changed since"),
        (lambda: sweep.compare(QUADRATIC, {"x": [0.1, 0.2]}, name="done"), "exists with other settings"),
        (lambda: sweep.load("done").sample(device="abacus"), "--device abacus"),
        (lambda: sweep.load("done").report("absent/done.html"), "make it first"),
    ],
)
def test_a_refused_call_changes_nothing(busy: Path, call: Callable[[], object], words: str) -> None:
    before = snapshot(busy)
    with pytest.raises(sweep.UserError, match=words):
        call()
    assert difference(before, snapshot(busy)) == []


FIRST = [
    Refusal("first", ("run", QUADRATIC, "--set", "nothing=1"), "no such setting"),
    Refusal("first", ("run", QUADRATIC, "--fix", "x=9"), "outside the search space"),
    Refusal("first", ("run", QUADRATIC, "--data", "digit"), "did you mean digits?"),
    Refusal("first", ("run", QUADRATIC, "--data", "digits,npz:absent.npz"), "absent.npz"),
    Refusal("first", ("run", QUADRATIC, "--name", "a/b"), "cannot be a name"),
    Refusal("first", ("run", QUADRATIC, "--device", "abacus"), "no device"),
    Refusal("first", ("run", QUADRATIC, "--tracking-uri", "http://127.0.0.1:9"), "see that the server is up"),
    Refusal("first", ("run", QUADRATIC, "--tracking-uri", "sqlite:///absent/mlflow.db"), "make it: mkdir -p"),
    Refusal("first", ("run", QUADRATIC, "--storage", "sqlite:///absent/sweeps.db"), "make it: mkdir -p"),
    Refusal("first", ("run", QUADRATIC, "--storage", "sqlite:///a.db", "--tracking-uri", "sqlite:///a.db"), "one each"),
    Refusal("first", ("run", "absent.py"), "there is no file 'absent.py'"),
    Refusal("first", ("compare", QUADRATIC), "nothing is compared; name a setting with the values to compare"),
    Refusal("first", ("compare", QUADRATIC, "--vary", "x=0.1"), "nothing to compare"),
    Refusal("first", ("resume", "toy"), "no sweep 'toy' here"),
    Refusal("first", ("doctor", "toy", "--repair"), "no sweep 'toy' here"),
    Refusal("first", ("rm", "toy", "--yes"), "no sweep 'toy' here"),
    Refusal("first", ("ui", "--no-browser"), "run a sweep there first"),
]


@pytest.mark.parametrize("refusal", FIRST, ids=[" ".join(refusal.arguments)[-50:] for refusal in FIRST])
def test_a_refused_first_command_leaves_the_folder_empty(folder: Path, refusal: Refusal) -> None:
    assert refused(refusal) == "" and not list(folder.iterdir())


def test_a_run_that_mlflow_does_not_have_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "nonesuch")
    sentence = "MLFLOW_RUN_ID=nonesuch is no run of sqlite:///"
    for arguments in (("run", QUADRATIC), ("compare", QUADRATIC, "--vary", "x=0.1,0.2")):
        assert refused(Refusal("first", arguments, sentence)) == "" and not list(folder.iterdir())
    monkeypatch.delenv("MLFLOW_RUN_ID")
    sweep.run(QUADRATIC, name="done", trials=1, workers=0, set={"steps": 3}, quiet=True)
    monkeypatch.setenv("MLFLOW_RUN_ID", "nonesuch")
    before = snapshot(folder)
    for arguments in (("run", QUADRATIC, "--name", "other"), ("resume", "done", "--trials", "4")):
        assert refused(Refusal("stale", arguments, "take it away with `unset MLFLOW_RUN_ID`")) == ""
    assert difference(before, snapshot(folder)) == []


def test_a_file_in_the_place_of_the_folder_of_sweeps_is_named_and_stays(folder: Path) -> None:
    Path(".sweeps").write_text("mine")
    assert refused(Refusal("first", ("run", QUADRATIC), "is no folder)")) == ""
    assert [path.name for path in folder.iterdir()] == [".sweeps"]


@pytest.mark.slow
def test_a_refused_command_changes_no_row_of_a_server(folder: Path, postgresql: Postgresql) -> None:
    """Neither in new databases, which stay without tables, nor in those that hold a sweep."""
    databases = {"SWEEP_STORAGE": postgresql.database(), "MLFLOW_TRACKING_URI": postgresql.database()}
    variables = databases | postgresql.environment
    stale = variables | {"MLFLOW_RUN_ID": "nonesuch"}
    toy = ("run", QUADRATIC, "--name", "toy", "--trials", "1", "--workers", "0", "--set", "steps=3")

    def refuse(words: str, *arguments: str, variables: dict[str, str] = variables) -> None:
        before = [_rows(postgresql.dump(database)) for database in databases.values()]
        done = cli.sweep(*arguments, variables=variables)
        assert done.returncode == 2 and words in done.stderr, done
        assert [_rows(postgresql.dump(database)) for database in databases.values()] == before

    refuse("no such setting", *toy, "--set", "nothing=1")
    refuse("MLFLOW_RUN_ID=nonesuch is no run of postgresql", *toy, variables=stale)
    refuse("no sweep 'toy' here", "show", "toy")
    assert not list(folder.iterdir())
    assert cli.sweep(*toy, variables=variables).returncode == 0
    refuse("take it away with `unset MLFLOW_RUN_ID`", "resume", "toy", "--trials", "4", variables=stale)
    refuse("no device", "resume", "toy", "--trials", "4", "--device", "abacus")


def _rows(dump: str) -> list[str]:
    """A dump in any order, without the key that differs from one to the next; a row that is written again moves to the end."""
    return sorted(line for line in dump.splitlines() if "restrict" not in line)


def test_a_refusal_leaves_the_mark_of_a_killed_supervisor(folder: Path, start: Callable[..., Process]) -> None:
    """So `sweep doctor` tells of it as before."""
    process = start("run", QUADRATIC, "--name", "toy", "--trials", "3", "--workers", "2", *cli.GATED)
    process.wait_for(two_trials_train)
    process.kill()
    before = sweep.load("toy")._book.notes()
    Path("mlflow.db").rename("elsewhere.db")
    Path("mlflow.db").mkdir()
    assert refused(Refusal("killed", ("resume", "toy", "--trials", "9"), "is a folder")) == ""
    assert sweep.load("toy")._book.notes() == before


def test_a_refused_resume_does_not_say_that_the_folder_was_moved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its storage is elsewhere, so the folder is known by its path and its machine; the user may say that it was moved."""
    (folder / "first").mkdir()
    monkeypatch.chdir("first")
    monkeypatch.setenv("SWEEP_STORAGE", f"sqlite:///{folder}/sweeps.db")
    sweep.run(QUADRATIC, name="toy", trials=2, workers=0, set={"steps": 3}, quiet=True)
    monkeypatch.chdir(folder)
    Path("first").rename("second")
    monkeypatch.chdir("second")
    monkeypatch.setattr("socket.gethostname", lambda: "other")
    sweep.load("toy")  # MLflow's file learns where it is
    before = snapshot(folder)
    for words, *arguments in (
        ("2 are finished already", "--trials", "1"),
        ("no device", "--device", "abacus"),
        ("has 0 of the 3 runs", "--tracking-uri", "sqlite:///elsewhere.db"),
    ):
        assert refused(Refusal("moved", ("resume", "toy", "--moved", *arguments), words)) == ""
        assert difference(before, snapshot(folder)) == []
    for arguments in (["--moved", "--trials", "3"], ["--trials", "4"]):
        done = CliRunner().invoke(main, ["resume", "toy", "--workers", "0", *arguments])
        assert done.exit_code == 0, done.output
