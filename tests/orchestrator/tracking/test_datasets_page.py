"""Several data sets in one command: a sweep each, one page, and refusals before anything starts."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from mlflow import MlflowClient

from orchestrator.cli import main as cli
from orchestrator.errors import UserError
from orchestrator.stores import sqlite
from orchestrator.tracking import datasets_page
from tests.support.paths import QUADRATIC

RUN = ("run", QUADRATIC, "--trials", "2", "--workers", "0", "--set", "steps=3")


def sweep(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, list(arguments))


@pytest.fixture
def other(folder: Path) -> str:
    """A data set of the user's own."""
    images = np.random.RandomState(0).randint(0, 255, (60, 8, 8)).astype(np.uint8)
    labels = np.arange(60) % 2
    np.savez("other.npz", x_train=images[:50], y_train=labels[:50], x_test=images[50:], y_test=labels[50:])
    return "npz:other.npz"


def test_a_sweep_each_and_one_page_that_goes_into_the_run_of_mlflow_run(
    other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = MlflowClient(sqlite.absolute("sqlite:///mlflow.db"))  # a relative one is kept for the whole process
    made = client.create_run(client.create_experiment("quadratic"), run_name="made").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", made)
    done = sweep(*RUN, "--data", f"digits,{other}", "--name", "two")
    assert done.exit_code == 0, done.output
    (experiment,) = [one for one in client.search_experiments() if one.name == "quadratic"]
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert runs["two-digits"].data.tags["sweep"] == "two-digits" and "two-npz" in runs
    page = client.get_run(made)
    assert page.data.tags["data"] == f"digits, {other}" and page.info.status == "FINISHED"
    note = page.data.tags["mlflow.note.content"]
    assert f"|  | digits | {other} |" in note and "| sweep | two-digits | two-npz |" in note
    assert "| trials finished | 2 of 2 | 2 of 2 |" in note
    path = client.download_artifacts(made, "comparison.json", str(Path.cwd()))
    told = json.loads(Path(path).read_text())
    for name, data in (("two-digits", "digits"), ("two-npz", other)):
        best = runs[name].data.tags["mlflow.note.content"]
        first = re.search(r"\[trial\s(\d+)\]", best)
        assert first is not None and int(first[1]) == told[data]["trial"], "the page's best trial is the sweep's"
    again = sweep(*RUN, "--data", f"digits,{other}", "--name", "two")
    assert again.exit_code == 0 and "has all of its 2 trials" in again.output
    assert len(client.search_runs([experiment.experiment_id])) == 7, (
        "two sweeps of two trials, their page, its own name"
    )


def test_a_dry_run_tells_all_and_starts_nothing(other: str) -> None:
    done = sweep(*RUN, "--data", f"digits,{other}", "--dry-run")
    assert done.exit_code == 0 and "quadratic-digits-1 (new)" in done.output and "quadratic-npz-1 (new)" in done.output
    assert not Path("mlflow.db").exists()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("digits,digits", "digits is there twice; name each data set once"),
        ("digits,", "a comma stands beside nothing"),
        ("digits,mnisst", "no data set 'mnisst'; did you mean mnist?"),
        ("npz:a.npz,npz:b.npz", "would be called alike; give a --name"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(folder: Path, data: str, words: str) -> None:
    done = sweep(*RUN, "--data", data)
    assert done.exit_code == 2 and words in " ".join(done.output.split())
    assert not Path("mlflow.db").exists() and not Path(".sweeps").exists()


def test_a_comma_in_a_path_parts_nothing() -> None:
    assert datasets_page.data_sets("folder:my data, final") == ["folder:my data, final"]
    assert datasets_page.data_sets("npz:a,b.npz, mnist,halved:folder:x,y") == [
        "npz:a,b.npz",
        "mnist",
        "halved:folder:x,y",
    ]
    with pytest.raises(UserError, match="no data set 'final'"):
        datasets_page.data_sets("digits, final")


def test_names_tell_the_data_sets_apart() -> None:
    assert datasets_page.data_sets(None) == [None] and datasets_page.data_sets("mnist, hoda:X") == ["mnist", "hoda:X"]
    assert datasets_page.names("n", ["mnist", "hoda:X"]) == ["n-mnist", "n-hoda"]
    assert datasets_page.names("n", ["npz:a", "npz:b"]) == ["n-npz-1", "n-npz-2"]
    assert datasets_page.names("n", [None]) == ["n"] and datasets_page.names(None, ["a", "b"]) == [None, None]
    with pytest.raises(UserError, match="twice"):
        datasets_page.data_sets("a,b,a")
