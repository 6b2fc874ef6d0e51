"""A sweep that is packed and unpacked is the same sweep, entry by entry, and goes on as if it had never been interrupted."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mlflow import MlflowClient
from sqlalchemy import make_url

from orchestrator.delivery.outbox import Outbox
from orchestrator.errors import UserError
from orchestrator.layout import CHECKPOINT, WEIGHTS
from orchestrator.search import study_copy
from orchestrator.search.book import Book
from orchestrator.search.trials import run_of
from orchestrator.stores import optuna_storage
from orchestrator.tracking import connection, model_registry
from orchestrator.transfer import carry, pack, unpack
from tests.support import contents
from tests.support.clinic import Clinic
from tests.support.paths import QUADRATIC
from tests.support.servers import MlflowServer, Postgresql

STEPS = ("runs", "files", "study", "name")  # of unpacking
SETTINGS = {"set": ["jitter=0.5"], "pruner": "none"}


def silent(done: int, total: int) -> None:
    pass


def home(folder: Path, patch: pytest.MonkeyPatch) -> Clinic:
    """A new folder to sweep in, which is the current one from now on."""
    folder.mkdir()
    patch.chdir(folder)
    return Clinic(folder, patch)


def crown(book: Book) -> None:
    """Register a network of the best trial, as sweeps of networks do."""
    store = connection.find(book.spec.tracking_uri, "--tracking-uri", Path(book.spec.study).stem, book.spec.run)
    assert store is not None
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 1))
    run = run_of(book.spec, book.best()[0])
    address = model_registry.register(store, run, network, (1, 8, 8), book.spec.name, {"trial": "0"})
    book.note("champion", {"run": run, "address": address})


def carried(book: Book, to: Path, patch: pytest.MonkeyPatch, name: str | None = None) -> Book:
    """The sweep, packed and unpacked in the folder ``to``, which is the current one then."""
    file = to.parent / "packed.zip"
    pack.pack(book, file, silent)
    to.mkdir(exist_ok=True)
    patch.chdir(to)
    return unpack.unpack(file, name, optuna_storage.connect("sqlite:///sweeps.db"), None, silent)


def test_a_copy_holds_what_the_sweep_holds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = home(folder / "before", monkeypatch).run(asked=12, **SETTINGS)
    book = clinic.book
    (left,) = book.trials_running()
    book.enqueue({"x": 0.25})
    crown(book)
    waiting = Outbox(clinic.at(left.number))
    waiting.numbers(99, {"later": 1.0})
    waiting.close()
    before = contents.of(book)
    copy = carried(book, folder / "after", monkeypatch)
    after = contents.of(copy)
    monkeypatch.chdir(folder / "before")
    assert contents.of(contents.load("sqlite:///sweeps.db", "toy")) == before, "packing changes nothing"
    assert copy.spec.id != book.spec.id and copy.spec.run != book.spec.run
    for part in before:
        assert after[part] == before[part], part
    states = [trial.state for trial in copy.trials()]
    assert states[-2:] == ["running", "waiting"] and "complete" in states
    assert len(after["runs"]) == len(states) and after["registered"] and after["models"]


def test_a_trial_that_was_interrupted_goes_on_in_the_copy_as_if_it_had_not_been(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = home(folder / "whole", monkeypatch).run(**SETTINGS)
    expected = results(whole.book)
    broken = home(folder / "broken", monkeypatch).run(asked=12, **SETTINGS)
    (left,) = broken.book.trials_running()
    assert (broken.at(left.number) / CHECKPOINT).exists()
    copy = carried(broken.book, folder / "copy", monkeypatch, "renamed")
    Clinic(folder / "copy", monkeypatch).run(name="renamed", **SETTINGS)
    assert results(contents.load("sqlite:///sweeps.db", "renamed")) == expected
    assert copy.spec.name == "renamed" and copy.spec.study == QUADRATIC


def test_the_command_that_made_a_sweep_goes_on_with_its_copy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a study file of the user's own, which the packed file holds."""
    clinic = home(folder / "before", monkeypatch)
    Path("own.py").write_text(Path(QUADRATIC).read_text())
    copy = carried(clinic.run(study="own.py", **SETTINGS).book, folder / "after", monkeypatch)
    assert copy.spec.study == "own.py"
    Clinic(folder / "after", monkeypatch).run(study="own.py", **SETTINGS)


def test_a_sweep_whose_runs_were_deleted_is_packed_only_after_repair(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = home(folder / "before", monkeypatch).run(**SETTINGS)
    MlflowClient(clinic.book.spec.tracking_uri).delete_run(run_of(clinic.book.spec, clinic.book.trials()[1]))
    with pytest.raises(UserError, match="1 of the 4 runs .* doctor toy --repair"):
        pack.pack(clinic.book, folder / "toy.zip", silent)
    assert not (folder / "toy.zip").exists()
    clinic.doctor(repair=True)
    assert pack.pack(clinic.book, folder / "toy.zip", silent).runs == 4


def test_strange_files_in_the_folder_of_a_sweep(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link to nothing is left out. What cannot be copied is named, with a way out that works."""
    book = home(folder / "before", monkeypatch).run(asked=1).book
    (Path(book.spec.folder) / "link").symlink_to("/nowhere")
    pipe = Path(book.spec.folder) / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UserError, match=f"cannot be packed: {pipe} cannot be copied .*named pipe.*; move it away"):
        carried(book, folder / "after", monkeypatch)
    pipe.unlink()
    assert carried(book, folder / "after", monkeypatch).trials()


@pytest.mark.slow
def test_a_sweep_goes_to_servers_and_comes_back(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    postgresql: Postgresql,
    mlflow_server: Callable[..., MlflowServer],
) -> None:
    server, database = mlflow_server(), postgresql.database()
    for variable, value in {**server.environment, **postgresql.environment}.items():
        monkeypatch.setenv(variable, value)
    book = home(folder / "before", monkeypatch).run(asked=12, **SETTINGS).book
    crown(book)
    before = contents.of(book)
    pack.pack(book, folder / "there.zip", silent)
    (folder / "servers").mkdir()
    monkeypatch.chdir(folder / "servers")
    storage = optuna_storage.connect(database)
    there = unpack.unpack(folder / "there.zip", None, storage, server.address, silent)
    assert sorted(path.name for path in Path.cwd().iterdir()) == [".sweeps"]
    back = carried(there, folder / "back", monkeypatch)
    for copy in (there, back):
        monkeypatch.chdir(Path(copy.spec.folder).parent.parent)
        after = contents.of(copy)
        for part in before:
            assert after[part] == before[part], part
    storage.remove_session()
    storage.engine.dispose()


@pytest.mark.parametrize("step", [*(pytest.param(step, marks=pytest.mark.slow) for step in STEPS[:-1]), STEPS[-1]])
def test_what_an_unpack_that_fails_had_made_is_removed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    book = home(folder / "before", monkeypatch).run(trials=1).book
    pack.pack(book, folder / "packed.zip", silent)
    home(folder / "after", monkeypatch)
    places = {
        "runs": (carry, "_files"),
        "files": (study_copy, "make"),
        "study": (carry, "publish_copy"),
        "name": (study_copy, "publish"),
    }
    storage = optuna_storage.connect("sqlite:///sweeps.db")
    with monkeypatch.context() as patched:
        patched.setattr(*places[step], fail)
        with pytest.raises(KeyboardInterrupt):
            unpack.unpack(folder / "packed.zip", None, storage, None, silent)
    assert [path for path in Path().glob(".sweeps/*") if path.name != "cache"] == []
    assert optuna_storage.study_names(storage) == set()
    runs = MlflowClient(f"sqlite:///{folder}/after/mlflow.db").search_runs(["0", "1"])
    assert list(runs) == []
    assert unpack.unpack(folder / "packed.zip", None, storage, None, silent).spec.name == "toy"


def test_the_note_of_an_unpack_holds_no_password(
    folder: Path, monkeypatch: pytest.MonkeyPatch, postgresql: Postgresql
) -> None:
    """And what is made is undone by the whole address all the same."""
    book = home(folder / "before", monkeypatch).run(trials=1).book
    pack.pack(book, folder / "packed.zip", silent)
    home(folder / "after", monkeypatch)
    database = make_url(postgresql.database()).set(password=postgresql.password)
    storage, notes = optuna_storage.connect(database.render_as_string(hide_password=False)), list[str]()

    def look(*arguments: Any) -> None:
        notes.extend(path.read_text() for path in Path().glob(".sweeps/.unpack-*/attempt.json"))
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(carry, "publish_copy", look)
        with pytest.raises(KeyboardInterrupt):
            unpack.unpack(folder / "packed.zip", None, storage, None, silent)
    (note,) = notes
    assert f"@{database.host}" in note and f":{postgresql.password}@" not in note
    assert optuna_storage.study_names(storage) == set() and not list(Path().glob(".sweeps/.unpack-*"))
    assert unpack.unpack(folder / "packed.zip", None, storage, None, silent).spec.name == "toy"
    storage.remove_session()
    storage.engine.dispose()


def fail(*arguments: Any) -> None:
    raise KeyboardInterrupt


def results(book: Book) -> Any:
    """Trials, every point of their numbers, and their weights."""
    content = contents.of(book)
    points = {
        content["runs"][run]["tags"].get("trial", "-"): {
            key: [(step, value) for step, _, value in steps]
            for key, steps in content["runs"][run]["points"].items()
            if not key.startswith("seconds/")
        }
        for run in content["runs"]
    }
    trials = [(trial.number, trial.params, trial.values, trial.state, trial.reports) for trial in book.trials()]
    weights = {name: data for name, data in content["on disk"].items() if name.endswith(WEIGHTS)}
    return json.dumps([points, trials, weights], sort_keys=True, default=str)
