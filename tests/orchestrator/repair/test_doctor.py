"""`sweep doctor`: real sweeps in real stores, broken in each way that we know, found, mended, and whole again."""

import io
import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from rich.console import Console

from orchestrator import session, text
from orchestrator.delivery.delivery import Delivery
from orchestrator.delivery.outbox import Outbox, path_of, run_id
from orchestrator.devices import Resources
from orchestrator.messages import Ended
from orchestrator.repair import doctor
from orchestrator.search import book as books
from orchestrator.search import plan
from orchestrator.search.book import DRIVER, Book
from orchestrator.search.plan import Options
from orchestrator.stores import optuna_storage
from orchestrator.supervisor import lease
from orchestrator.supervisor import queue as agenda
from orchestrator.supervisor.interrupts import InterruptWatcher
from orchestrator.tracking import publish
from orchestrator.tracking.mlflow_store import KEY
from orchestrator.worker import checkpoint
from orchestrator.worker import lock as leftovers
from orchestrator.worker import result as ending
from tests.orchestrator.cli.test_cli import SLOW, begun, started, statuses, sweep, wait_for  # noqa: F401
from tests.orchestrator.conftest import PATIENT
from tests.support.paths import QUADRATIC, ROOT

WHOLE = "toy: whole (3 trials, 4 runs)"
PARENT = "mlflow.parentRunId"
SMALL = ("network_evaluations=1200", "evaluation_samples=64", "width=8")


class Clinic:
    """Sweeps of the toy study in this process, on real stores, and what can be done to them."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch = folder, patch
        self.storage = optuna_storage.connect("sqlite:///sweeps.db")

    def run(self, asked: int = 10**9, **options: Any) -> "Clinic":
        """A sweep of three trials, or its rest, interrupted when its halt was ``asked`` so often."""
        left = iter(range(10**12))

        def halt(self: InterruptWatcher) -> str:
            self.reason = "interrupted" if next(left) >= asked else ""
            return self.reason

        options = {"name": "toy", "trials": 3, **options}
        spec = plan.resolve(Options(options.pop("study", QUADRATIC), **options), self.storage)
        book = plan.settle(spec, self.storage) or books.create(self.storage, spec)
        with self.patch.context() as patched:
            patched.setattr(InterruptWatcher, "__call__", halt)
            session.drive(book, Resources(("cpu",), 1), True, None, PATIENT, Console(file=io.StringIO()))
        return self

    def doctor(self, repair: bool = False, name: str = "toy") -> tuple[int, list[str]]:
        """Exit status, and the lines."""
        output = io.StringIO()
        status = doctor.visit([books.load(self.storage, name)], repair, Console(file=output, width=80))
        return status, output.getvalue().splitlines()

    def findings(self, repair: bool = False) -> list[str]:
        """The lines that tell of findings, of a doctor who is not content."""
        status, lines = self.doctor(repair)
        assert status == 1, lines
        return [line.strip() for line in lines if line.startswith("  ")]

    @property
    def book(self) -> Book:
        return books.load(self.storage, "toy")

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(f"sqlite:///{self.folder}/mlflow.db")

    def at(self, number: int | None = None) -> Path:
        """Folder of a trial or of the sweep."""
        return Path(".sweeps/toy" if number is None else f".sweeps/toy/trial-{number}")

    def id(self, number: int | None = None) -> str:
        """The run of a trial or of the sweep."""
        return run_id(self.at(number))

    def key(self, number: int | None = None) -> str:
        return self.book.spec.id + ("" if number is None else f"/{number}")

    def artifacts(self, number: int | None = None) -> Path:
        return Path(self.client.get_run(self.id(number)).info.artifact_uri)

    def purge(self, number: int | None = None) -> None:
        """As `mlflow gc` does."""
        self.client.delete_run(self.id(number))
        self.client._tracking_client.store._hard_delete_run(self.id(number))

    def sql(self, statement: str, *values: Any) -> None:
        with sqlite3.connect("mlflow.db") as connection:
            connection.execute(statement, values)
        connection.close()


@pytest.fixture
def clinic(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Clinic:
    """See Clinic."""
    monkeypatch.setattr(agenda, "EVICT_SECONDS", 0.3)
    return Clinic(folder, monkeypatch)


def optuna_rows() -> list[str]:
    """All of Optuna's database but who drives: whoever mends does."""
    return [row for row in dump("sweeps.db") if "'driver'" not in row]


def dump(path: str) -> list[str]:
    with sqlite3.connect(path) as connection:
        rows = list(connection.iterdump())
    connection.close()
    return rows


def everything() -> dict[str, Any]:
    """Both databases and all files but locks, whose times alone may change."""
    found: dict[str, Any] = {name: dump(name) for name in ("sweeps.db", "mlflow.db") if Path(name).exists()}
    for path in [*Path(".sweeps").rglob("*"), *Path("mlruns").rglob("*")]:
        stat = path.stat()
        if path.suffix != ".lock" and path.is_file():
            found[str(path)] = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
    return found


def cured(clinic: Clinic, *expected: str, whole: str = WHOLE) -> None:
    """Exactly these are found, in this order; looking changes nothing; they are mended; and then there are none."""
    before, optuna = everything(), optuna_rows()
    found = clinic.findings()
    assert len(found) == len(expected), found
    for line, pattern in zip(found, expected, strict=True):
        assert re.match(pattern, line), found
    assert everything() == before, "looking changes nothing"
    status, lines = clinic.doctor(repair=True)
    assert status == 0 and all(line.endswith("· mended") for line in lines if line.startswith("  ")), lines
    assert optuna_rows() == optuna
    assert lease.driver(clinic.book) is None
    assert clinic.doctor()[:1] == (0,) and clinic.doctor()[1][0] == whole


# ---- what is whole ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"set": ["mode=diverge"]},
        {"set": ["mode=crash"]},
        {"set": ["mode=hungry"]},
        {"asked": 1},
        {"asked": 12},
        {"asked": 14},
        {"asked": 12, "deterministic": True},
        {"trials": 9, "pruner": "asha", "set": ["steps=20"]},
    ],
    ids=str,
)
def test_what_is_whole_is_told_in_a_line_and_not_touched(clinic: Clinic, options: dict[str, Any]) -> None:
    clinic.run(**options)
    before = everything()
    for repair in (False, True):
        status, lines = clinic.doctor(repair)
        assert status == 0 and re.match(r"toy: whole \(\d trials?, \d+ runs\)$", lines[0]), lines
        left = len(clinic.book.trials_running())
        waits = f"{left} trials wait" if left > 1 else "1 trial waits"
        assert lines[1:] == ([f"toy: {waits} for `{text.program()} resume toy`"] if left else [])
    assert everything() == before


def test_one_checkpoint_of_two_is_enough(clinic: Clinic) -> None:
    clinic.run(asked=12)
    (left,) = clinic.book.trials_running()
    path = clinic.at(left.number) / checkpoint.NAME
    shutil.copy(path, path.with_name(checkpoint.PREVIOUS))
    os.truncate(path, 100)
    assert clinic.doctor()[0] == 0


def test_nothing_here(clinic: Clinic) -> None:
    output = io.StringIO()
    assert doctor.visit([], False, Console(file=output)) == 0
    assert output.getvalue().startswith("no sweeps here yet")


# ---- what MLflow says ------------------------------------------------------------------------------------------------


def test_a_run_that_is_running_though_its_trial_ended(clinic: Clinic) -> None:
    clinic.run()
    clinic.client.update_run(clinic.id(1), status="RUNNING")
    cured(clinic, "trial 1: its run is RUNNING, outcome complete, but it is complete → FINISHED, outcome complete")
    assert clinic.client.get_run(clinic.id(1)).info.end_time


def test_wrong_statuses_and_outcomes(clinic: Clinic) -> None:
    clinic.run()
    ends = [clinic.client.get_run(clinic.id(n)).info.end_time for n in (0, 2)]
    clinic.client.update_run(clinic.id(0), status="KILLED")
    clinic.sql("update runs set end_time=? where run_uuid=?", ends[0], clinic.id(0))
    clinic.client.set_tag(clinic.id(2), "outcome", "diverged")
    cured(
        clinic,
        "trial 0: its run is KILLED, outcome complete, but",
        "trial 2: its run is FINISHED, outcome diverged, but",
    )
    assert [clinic.client.get_run(clinic.id(n)).info.end_time for n in (0, 2)] == ends
    assert clinic.client.get_run(clinic.id(2)).data.tags["outcome"] == "complete"


@pytest.mark.parametrize("mode", ["diverge", "crash"])
def test_other_ends_than_complete(clinic: Clinic, mode: str) -> None:
    clinic.run(set=[f"mode={mode}"])
    status, outcome = {"diverge": ("KILLED", "diverged"), "crash": ("FAILED", "failed")}[mode]
    for number in (0, 1, 2):
        clinic.client.update_run(clinic.id(number), status="FINISHED")
    cured(
        clinic, f"trials 0-2: its run is FINISHED, outcome {outcome}, but it is {outcome} → {status}, outcome {outcome}"
    )


def test_the_sweeps_own_run_is_running(clinic: Clinic) -> None:
    clinic.run()
    clinic.client.set_tag(clinic.id(), "outcome", "running")
    clinic.client.update_run(clinic.id(), status="RUNNING")
    cured(clinic, "the sweep: its run is RUNNING, outcome running, but nobody drives it → FINISHED, outcome complete")


def test_the_sweeps_own_run_has_another_status_than_its_outcome(clinic: Clinic) -> None:
    clinic.run()
    clinic.client.update_run(clinic.id(), status="FAILED")
    cured(clinic, "the sweep: its run is FAILED, outcome complete → FINISHED")


def test_runs_that_were_deleted_are_restored(clinic: Clinic) -> None:
    clinic.run()
    for number in (None, 1):
        clinic.client.delete_run(clinic.id(number))
    before = clinic.id(1)
    cured(clinic, "the sweep, trial 1: its run was deleted → restored")
    assert clinic.id(1) == before and clinic.client.get_run(before).data.metrics["noise"]


def test_an_experiment_that_was_deleted_is_restored(clinic: Clinic) -> None:
    clinic.run()
    clinic.client.delete_experiment(clinic.client.get_run(clinic.id()).info.experiment_id)
    cured(clinic, "the sweep, trials 0-2: its run was deleted → restored")


def test_a_trial_without_a_run_gets_one_from_the_book(clinic: Clinic) -> None:
    clinic.run()
    old = clinic.client.get_run(clinic.id(1))
    config = (clinic.artifacts(1) / "config.json").read_text()
    history = [one.value for one in clinic.client.get_metric_history(clinic.id(1), "distance")]
    clinic.purge(1)
    cured(clinic, "trial 1: it has no run → made again")
    new = clinic.client.get_run(clinic.id(1))
    assert new.info.run_id != old.info.run_id and new.info.status == "FINISHED"
    assert new.info.run_name == old.info.run_name and new.data.params == old.data.params
    same = ("sweep", "study", "trial", "outcome", KEY, PARENT)
    assert [new.data.tags[name] for name in same] == [old.data.tags[name] for name in same]
    assert new.data.tags["remade"] and new.data.tags["host"] == "unknown"
    points = clinic.client.get_metric_history(clinic.id(1), "distance")
    assert [one.value for one in points] == history and [one.step for one in points] == [1, 2, 3, 4, 5]
    assert (clinic.artifacts(1) / "config.json").read_text() == config
    assert any("samples~fresh" in path.name for path in (clinic.artifacts(1) / "images").iterdir())


def test_a_failed_trial_without_a_run_gets_one_with_its_error(clinic: Clinic) -> None:
    clinic.run(set=["mode=crash"])
    clinic.purge(0)
    cured(clinic, "trial 0: it has no run → made again")
    run = clinic.client.get_run(clinic.id(0))
    assert run.info.status == "FAILED" and run.data.tags["reason"] == "RuntimeError"
    assert "it was told to" in run.data.tags["mlflow.note.content"]


def test_a_sweep_without_a_run_gets_one_and_its_trials_are_below_it(clinic: Clinic) -> None:
    clinic.run()
    best = [(one.step, one.value) for one in clinic.client.get_metric_history(clinic.id(), "best/distance")]
    params = clinic.client.get_run(clinic.id()).data.params
    clinic.purge()
    clinic.client.delete_tag(clinic.id(1), PARENT)
    found = clinic.findings()
    assert found == [
        "the sweep: it has no run → made again from Optuna and the trial's files",
        "trial 1: its run is not below the sweep's → put there",
    ]
    assert clinic.doctor(repair=True)[0] == 0
    assert clinic.doctor() == (0, [WHOLE])
    run = clinic.client.get_run(clinic.id())
    assert (
        run.info.status == "FINISHED"
        and run.data.params == params
        and "complete" in run.data.tags["mlflow.note.content"]
    )
    assert [(one.step, one.value) for one in clinic.client.get_metric_history(clinic.id(), "best/distance")] == best
    assert clinic.book.spec.run == run.info.run_id
    assert {clinic.client.get_run(clinic.id(n)).data.tags[PARENT] for n in (0, 1, 2)} == {run.info.run_id}
    assert (clinic.artifacts() / "figures").exists() and (clinic.artifacts() / "best_samples.png").exists()


def test_second_runs_of_one_key_are_deleted_and_the_first_is_kept(clinic: Clinic) -> None:
    clinic.run()
    first, own = clinic.id(1), clinic.id()
    experiment = clinic.client.get_run(own).info.experiment_id
    for start in (1, None):  # older than it, and younger
        made = clinic.client.create_run(experiment, start_time=start, tags={KEY: clinic.key(1)}).info.run_id
        clinic.client.set_terminated(made)
    clinic.client.create_run(experiment, tags={KEY: clinic.key()})
    second = "run [0-9a-f]{8} is a second one of it → deleted; MLflow can restore it"
    cured(clinic, f"the sweep: {second}", f"trial 1: {second}", f"trial 1: {second}")
    assert clinic.id(1) == first and clinic.id() == own
    assert clinic.client.get_run(first).info.lifecycle_stage == "active"


def test_of_runs_that_no_folder_names_the_oldest_is_kept(clinic: Clinic) -> None:
    clinic.run()
    first = clinic.id(2)
    clinic.client.create_run(clinic.client.get_run(first).info.experiment_id, tags={KEY: clinic.key(2)})
    shutil.rmtree(clinic.at(2) / "outbox")
    cured(clinic, "trial 2: run [0-9a-f]{8} is a second one of it")
    assert clinic.client.get_run(first).info.lifecycle_stage == "active"


def test_a_run_of_a_trial_that_does_not_exist_is_deleted(clinic: Clinic) -> None:
    clinic.run()
    made = clinic.client.create_run(clinic.client.get_run(clinic.id()).info.experiment_id, tags={KEY: clinic.key(77)})
    cured(clinic, "the sweep: run [0-9a-f]{8} is of a trial 77, which there is not → deleted")
    assert clinic.client.get_run(made.info.run_id).info.lifecycle_stage == "deleted"


def test_tags_that_were_lost_are_set(clinic: Clinic) -> None:
    clinic.run()
    for number in (None, 0):
        clinic.client.delete_tag(clinic.id(number), KEY)
    clinic.client.delete_tag(clinic.id(1), PARENT)
    cured(
        clinic,
        f"the sweep, trial 0: its run has lost the tag {KEY} → set",
        "trial 1: its run is not below the sweep's → put there",
    )


def test_files_that_are_missing_are_made_again(clinic: Clinic) -> None:
    clinic.run()
    config = (clinic.artifacts(0) / "config.json").read_text()
    (clinic.artifacts(0) / "config.json").unlink()
    shutil.rmtree(clinic.artifacts(1) / "images")
    shutil.rmtree(clinic.artifacts() / "figures")
    cured(
        clinic,
        "the sweep: its run lacks figures → drawn again",
        "trial 0: its run lacks config.json → made again",
        "trial 1: its run lacks pictures → made again",
    )
    assert (clinic.artifacts(0) / "config.json").read_text() == config
    assert clinic.client.get_run(clinic.id()).info.status == "FINISHED"


def test_pictures_that_cannot_be_made_again_are_told(clinic: Clinic) -> None:
    clinic.run()
    shutil.rmtree(clinic.artifacts(1) / "images")
    (clinic.at(1) / "samples.png").unlink()
    (found,) = clinic.findings()
    assert found.startswith("trial 1: its run has lost its pictures → none")
    assert clinic.findings(repair=True) == [f"{found} · not mended"]


def test_numbers_that_are_missing_come_from_the_book(clinic: Clinic) -> None:
    clinic.run()
    value = clinic.client.get_run(clinic.id(1)).data.metrics["distance"]
    for table in ("metrics", "latest_metrics"):
        clinic.sql(f"delete from {table} where run_uuid=? and key='distance'", clinic.id(1))
    cured(clinic, "trial 1: its run lacks distance → made again")
    assert clinic.client.get_run(clinic.id(1)).data.metrics["distance"] == value


def test_runs_of_a_removed_sweep_are_no_fault_of_its_namesake(clinic: Clinic) -> None:
    from orchestrator.repair import removal

    clinic.run()
    removal.remove(clinic.book, keep_runs=True)
    clinic.run()
    status, lines = clinic.doctor(repair=True)
    assert (
        status == 0 and lines[0] == WHOLE and lines[1].startswith("toy: 4 runs are of another sweep that had this name")
    )


def say_later(clinic: Clinic, number: int) -> None:
    outbox = Outbox(clinic.at(number))
    outbox.tags({"later": "word"})
    outbox.close()


def test_a_tracker_that_is_away_hides_nothing_of_the_rest(clinic: Clinic) -> None:
    clinic.run()
    (clinic.at(1) / "ended.json").touch()
    say_later(clinic, 2)
    here = clinic.book.spec.tracking_uri
    clinic.book.update(tracking_uri="http://127.0.0.1:9")
    found = clinic.findings()
    assert [line.partition(" → ")[0][:60] for line in found] == [
        "trial 1: files are left that it does not need (ended.json)",
        "the sweep: MLflow cannot be looked at: --tracking-uri=http:/",
        "trial 2: entries of its outbox wait for delivery",
    ]
    mended = clinic.findings(repair=True)
    assert [line.endswith("· mended") for line in mended] == [True, False, False]
    clinic.book.update(tracking_uri=here)
    cured(clinic, "trial 2: entries of its outbox wait for delivery → delivered")


# ---- what the folders say --------------------------------------------------------------------------------------------


def test_outboxes_are_delivered_and_what_they_say_is_no_finding(clinic: Clinic) -> None:
    """A run that will be right when its outbox is delivered is not wrong."""
    clinic.run()
    clinic.client.update_run(clinic.id(1), status="RUNNING")
    (clinic.artifacts(1) / "config.json").unlink()
    outbox = Outbox(clinic.at(1))
    outbox.content("config.json", b"{}")
    outbox.end("FINISHED", {"outcome": "complete"})
    cured(clinic, "trial 1: entries of its outbox wait for delivery → delivered")
    assert not list(clinic.at(1).glob("outbox/*.jsonl"))


def test_half_a_line_is_dropped(clinic: Clinic) -> None:
    clinic.run()
    path_of(clinic.at(1) / "outbox", 99).write_bytes(b'{"do": "numb')
    cured(clinic, "trial 1: its outbox ends in half a line → dropped")


def test_what_was_refused_is_told_and_stays(clinic: Clinic) -> None:
    from orchestrator.tracking import mlflow_store as tracker

    clinic.run()
    outbox = Outbox(clinic.at(1))
    outbox.numbers(99, {"a name: with a colon?": 1.0})
    outbox.close()
    Delivery(clinic.at(1), tracker.connect(clinic.book.spec.tracking_uri, "", "quadratic")).drain()
    (found,) = clinic.findings()
    assert re.match(r"trial 1: the tracker refused 1 of its entries \(.*colon.*\) → none; they are kept in ", found)
    assert clinic.findings(repair=True) == [f"{found} · not mended"]


def test_files_that_finished_trials_left_are_removed(clinic: Clinic) -> None:
    clinic.run()
    for name in ("checkpoint.pt", "checkpoint.previous.pt", "ended.json", "worker.lock", "worker.json"):
        (clinic.at(0) / name).touch()
    (clinic.at(1) / "weights.safetensors.part").touch()
    (clinic.at(2) / "outbox" / "sent.json.part").touch()
    names = "checkpoint.previous.pt, checkpoint.pt, worker.json, worker.lock, ended.json"
    cured(
        clinic,
        rf"trial 0: files are left that it does not need \({names}\) → removed",
        r"trial 1: .*\(weights.safetensors.part\)",
        r"trial 2: .*\(sent.json.part\)",
    )
    assert (clinic.at(1) / "weights.safetensors").exists()


def test_a_folder_without_a_trial_is_told(clinic: Clinic) -> None:
    clinic.run()
    clinic.at(9).mkdir()
    (found,) = clinic.findings()
    assert "trial-9 belongs to no trial of it" in found


def test_a_folder_that_is_gone_costs_nothing_that_is_known(clinic: Clinic) -> None:
    clinic.run()
    shutil.rmtree(clinic.at())
    assert clinic.doctor() == (0, [WHOLE])


# ---- trials that were left -------------------------------------------------------------------------------------------


@pytest.fixture
def left(clinic: Clinic) -> int:
    """A sweep that was interrupted: the number of the trial that waits."""
    clinic.run(asked=12)
    (trial,) = clinic.book.trials_running()
    assert trial.number > 0 and (clinic.at(trial.number) / checkpoint.NAME).exists()
    return trial.number


def stays(clinic: Clinic) -> str:
    return f"toy: whole ({len(clinic.book.trials())} trials, {len(clinic.book.trials()) + 1} runs)"


def test_runs_of_left_trials_are_closed_as_stopped_and_go_on(clinic: Clinic, left: int) -> None:
    run = clinic.id(left)
    for number in (None, left):
        clinic.client.set_tag(clinic.id(number), "outcome", "running")
        clinic.client.update_run(clinic.id(number), status="RUNNING")
    cured(
        clinic,
        "the sweep: its run is RUNNING, outcome running, but nobody drives it → KILLED, outcome stopped",
        f"trial {left}: its run is RUNNING, outcome running, but nobody plays it → KILLED, outcome stopped",
        whole=stays(clinic),
    )
    clinic.run()
    assert clinic.doctor() == (0, [WHOLE]) and clinic.id(left) == run


def test_an_ending_that_the_book_was_not_told_is_whole(clinic: Clinic, left: int) -> None:
    ending.save(clinic.at(left), Ended("complete", (0.5,), seconds=1.0))
    assert clinic.doctor()[0] == 0
    clinic.client.update_run(clinic.id(left), status="RUNNING")
    cured(
        clinic,
        f"trial {left}: its run is RUNNING, outcome stopped, but it is complete → FINISHED, outcome complete",
        whole=stays(clinic),
    )
    clinic.run()
    assert clinic.book.trials()[left].value == 0.5 and clinic.doctor() == (0, [WHOLE])


@pytest.mark.parametrize("how", ["cut", "outbox"])
def test_a_checkpoint_that_cannot_be_used_is_told(clinic: Clinic, left: int, how: str) -> None:
    path = clinic.at(left) / checkpoint.NAME
    if how == "cut":
        shutil.copy(path, path.with_name(checkpoint.PREVIOUS))
        for name in (checkpoint.NAME, checkpoint.PREVIOUS):
            os.truncate(clinic.at(left) / name, 100)
    else:
        shutil.rmtree(clinic.at(left) / "outbox")
    (found,) = clinic.findings()
    assert found == f"trial {left}: its checkpoint cannot be read → none; it begins anew when the sweep is resumed"
    assert clinic.findings(repair=True) == [f"{found} · not mended"]
    clinic.run()
    assert clinic.doctor() == (0, [WHOLE])


def test_a_left_trial_whose_run_was_deleted_gets_it_back(clinic: Clinic, left: int) -> None:
    clinic.client.delete_run(clinic.id(left))
    cured(clinic, f"trial {left}: its run was deleted → restored", whole=stays(clinic))
    clinic.run()
    assert clinic.doctor() == (0, [WHOLE])


@pytest.mark.parametrize("own", [False, True])
def test_a_left_trial_whose_run_is_gone_goes_on_in_a_new_one(clinic: Clinic, left: int, own: bool) -> None:
    if own:
        clinic.purge()
    clinic.purge(left)
    found = clinic.findings()
    gone = f"trial {left}: its run is gone → forgotten; a new one is made"
    assert found == ["the sweep: it has no run → made again from Optuna and the trial's files"] * own + [gone]
    assert clinic.doctor(repair=True)[0] == 0
    assert clinic.doctor()[1][0] == f"toy: whole ({left + 1} trials, {left + 1} runs)"
    clinic.run()
    assert clinic.doctor() == (0, [WHOLE])


# ---- processes -------------------------------------------------------------------------------------------------------


@pytest.fixture
def sleeper() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a process that holds a trial's folder, if one is given, and sleeps."""
    processes = []

    def start(folder: Path | None = None) -> subprocess.Popen[str]:
        hold = f"leftovers.hold_worker_lock(pathlib.Path({str(folder)!r}))" if folder else "contextlib.nullcontext()"
        code = (
            "import contextlib, pathlib, time\nfrom orchestrator.worker import lock as leftovers\n"
            f"with {hold}:\n    print('there', flush=True)\n    time.sleep(600)"
        )
        root = str(ROOT)
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", code],
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": root},
            )
        )
        assert processes[-1].stdout.readline() == "there\n"
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("finished", [False, True])
def test_a_worker_that_was_left_is_ended(clinic: Clinic, left: int, sleeper: Any, finished: bool) -> None:
    process = sleeper(clinic.at(0 if finished else left))
    cured(clinic, f"trial {0 if finished else left}: its worker still runs → ended", whole=stays(clinic))
    assert process.wait(5) == -signal.SIGKILL
    assert leftovers.held(clinic.at(0)) is False
    assert (clinic.at(0) / leftovers.WHO).exists() is False


def test_a_worker_on_another_machine_is_not_ours_to_end(clinic: Clinic, left: int, sleeper: Any) -> None:
    process = sleeper(clinic.at(left))
    (clinic.at(left) / leftovers.WHO).write_text(json.dumps({"host": "elsewhere", "process": process.pid}))
    (found,) = clinic.findings(repair=True)
    assert found.endswith(f"· not mended (a worker of trial-{left} still runs on elsewhere; end it there first)")
    assert process.poll() is None


def test_a_supervisor_that_left_without_a_word_is_cleared(clinic: Clinic, sleeper: Any) -> None:
    clinic.run()
    clinic.book.note(DRIVER, driver(sleeper(), began=1.0))
    cured(clinic, r"the sweep: process \d+ on .* stands as its supervisor and is gone → cleared")


def test_while_it_is_driven_only_what_has_ended_is_looked_at(clinic: Clinic, left: int, sleeper: Any) -> None:
    process = sleeper()
    clinic.book.note(DRIVER, driver(process))
    for number in (None, left):  # as it is while it is driven
        clinic.client.update_run(clinic.id(number), status="RUNNING")
    said = f"toy: driven by process {process.pid} on .*, so only trials that have ended are looked at, and nothing is mended"
    for repair in (False, True):
        status, lines = clinic.doctor(repair)
        assert status == 0 and len(lines) == 1 and re.match(said, lines[0]), lines
    clinic.client.update_run(clinic.id(0), status="RUNNING")
    before = everything()
    for repair in (False, True):
        (found,) = clinic.findings(repair)
        assert found == "trial 0: its run is RUNNING, outcome complete, but it is complete → FINISHED, outcome complete"
    assert everything() == before


def driver(process: subprocess.Popen[str], began: float | None = None) -> dict[str, Any]:
    """A supervisor's entry that names ``process``."""
    born = psutil.Process(process.pid).create_time() if began is None else began
    who = lease.Driver(token="t", host=socket.gethostname(), process=process.pid, started=born, since="now")
    return who.model_dump(mode="json")


def test_nobody_begins_while_it_mends(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic.run()
    clinic.client.update_run(clinic.id(1), status="RUNNING")
    present, asked = lease.present, iter([None, None])
    drivers, driven = lease.driver, iter([None])
    with lease.acquire_lease(clinic.book):  # somebody who begins when the doctor has looked
        monkeypatch.setattr(lease, "present", lambda book: next(asked, present(book)))
        monkeypatch.setattr(lease, "driver", lambda book: next(driven, drivers(book)))
        (found,) = clinic.findings(repair=True)
    assert "· not mended (sweep 'toy' is being driven by process" in found
    assert clinic.client.get_run(clinic.id(1)).info.status == "RUNNING"


def test_what_cannot_be_mended_hinders_nothing_else(clinic: Clinic) -> None:
    mine = clinic.folder / "mine.py"
    mine.write_text(Path(QUADRATIC).read_text())
    clinic.run(study=str(mine))
    (clinic.artifacts(0) / "config.json").unlink()
    clinic.client.update_run(clinic.id(1), status="RUNNING")
    mine.unlink()
    first, second = clinic.findings(repair=True)
    assert "trial 0: its run lacks config.json" in first and "· not mended (there is no file" in first
    assert second.endswith("· mended")


def breakages(clinic: Clinic, number: int) -> list[Callable[[], Any]]:
    """Of one trial, finished or left."""
    client, run, outbox = clinic.client, clinic.id(number), clinic.at(number) / "outbox"
    experiment = client.get_experiment_by_name("quadratic").experiment_id
    return [
        lambda: client.update_run(run, status="RUNNING"),
        lambda: client.set_tag(run, "outcome", "diverged"),
        lambda: client.delete_run(run),
        lambda: clinic.purge(number),
        lambda: client.create_run(experiment, tags={KEY: clinic.key(number)}),
        lambda: client.delete_tag(run, KEY),
        lambda: client.set_tag(run, PARENT, "another"),
        lambda: (clinic.artifacts(number) / "config.json").unlink(),
        lambda: clinic.sql("delete from latest_metrics where run_uuid=?", run),
        lambda: say_later(clinic, number),
        lambda: path_of(outbox, 77).write_bytes(b"{"),
        lambda: (outbox / "sent.json.part").touch(),
        lambda: clinic.purge(),
        lambda: client.delete_run(clinic.id()),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 10))])
def test_several_at_once(clinic: Clinic, seed: int) -> None:
    chance = random.Random(seed)
    clinic.run(asked=chance.choice([10**9, 12, 20]))
    for _ in range(chance.randint(2, 5)):
        trial = chance.choice(clinic.book.trials()).number
        with suppress(MlflowException):  # what is gone cannot be broken
            chance.choice(breakages(clinic, trial))()
    before = everything()
    clinic.doctor()
    assert everything() == before
    status, lines = clinic.doctor(repair=True)
    assert status == 0, lines
    assert clinic.doctor()[0] == 0, lines
    clinic.run()
    assert clinic.doctor() == (0, [WHOLE]) and len(clinic.book.finished()) == 3


# ---- as its user has it ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_after_kill_9_the_doctor_closes_what_was_left_and_resume_completes_it(started: Any) -> None:  # noqa: F811
    process = started("run", QUADRATIC, "--name", "toy", "--trials", "3", "--workers", "2", *SLOW)
    wait_for(begun)
    family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    psutil.wait_procs(family, timeout=20)
    assert statuses() == {"toy": "RUNNING", "trial 0": "RUNNING", "trial 1": "RUNNING"}
    before = everything()
    done = sweep("doctor", "toy")
    assert done.returncode == 1 and everything() == before, done.stderr
    for words in (
        f"the sweep: process {process.pid} on ",
        "the sweep: its run is RUNNING, outcome running, but nobody drives it → KILLED, outcome stopped",
        "trials 0-1: its run is RUNNING, outcome running, but nobody plays it → KILLED, outcome stopped",
        "toy: 2 trials wait for",
        "doctor toy --repair",
    ):
        assert words in done.stdout, done.stdout
    done = sweep("doctor", "--repair")
    assert done.returncode == 0, done.stdout + done.stderr
    assert statuses() == {"toy": "KILLED", "trial 0": "KILLED", "trial 1": "KILLED"}
    done = sweep("doctor")
    assert done.returncode == 0 and done.stdout.startswith("toy: whole (2 trials, 3 runs)\n"), done.stdout
    done = sweep("resume", "toy")
    assert done.returncode == 0, done.stderr
    done = sweep("doctor")
    assert done.returncode == 0 and done.stdout == f"{WHOLE}\n", done.stdout
    with sqlite3.connect("mlflow.db") as connection:
        rows = connection.execute(
            "select count(*), count(distinct step) from metrics where key='noise' group by run_uuid"
        )
        assert rows.fetchall() == [(40, 40)] * 3, "nothing was lost"
    connection.close()


@pytest.mark.slow
def test_at_once_after_kill_9_workers_that_still_run_leave_with_their_checkpoints(started: Any) -> None:  # noqa: F811
    process = started("run", QUADRATIC, "--name", "toy", "--trials", "2", "--workers", "2", *SLOW, "--set", "seconds=1")
    wait_for(begun)
    workers = list(Path(".sweeps").rglob("worker.lock"))
    process.kill()
    process.wait()
    done = sweep("doctor", "--repair")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not any(leftovers.held(path.parent) for path in workers)
    assert sweep("doctor").stdout.startswith("toy: whole (2 trials, 3 runs)\n")
    assert len(list(Path(".sweeps").rglob("checkpoint.pt"))) == 2


@pytest.mark.slow
def test_a_store_that_is_gone_is_made_again_from_the_book(folder: Path) -> None:
    assert sweep("run", QUADRATIC, "--name", "toy", "--trials", "3").returncode == 0
    assert sweep("run", QUADRATIC, "--name", "other", "--trials", "1").returncode == 0
    for path in folder.glob("mlflow.db*"):
        path.unlink()
    shutil.rmtree("mlruns")
    done = sweep("doctor")
    assert done.returncode == 1 and "the sweep, trials 0-2: it has no run" in done.stdout, done.stdout + done.stderr
    assert "the sweep, trial 0: it has no run" in done.stdout
    assert not Path("mlflow.db").exists(), "looking makes nothing"
    done = sweep("doctor", "--repair")
    assert done.returncode == 0, done.stdout + done.stderr
    assert sweep("doctor").stdout == f"{WHOLE}\nother: whole (1 trial, 2 runs)\n"
    assert sweep("resume", "toy", "--trials", "4").returncode == 0
    assert sweep("doctor", "toy").stdout == "toy: whole (4 trials, 5 runs)\n"


def answers(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.long
def test_on_a_server_with_a_champion(folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", "sqlite:///server.db", "--workers", "1"]
    server = subprocess.Popen(
        [*command, "--artifacts-destination", "artifacts", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(lambda: answers(port), 120)
        small = [part for one in SMALL for part in ("--set", one)]
        done = sweep("run", "ebm", "--name", "toy", "--trials", "3", *small, "--tracking-uri", uri)
        assert done.returncode == 0 and "models:/toy@champion" in done.stdout, done.stdout + done.stderr
        assert sweep("doctor").stdout == f"{WHOLE}\n"
        book, client = books.load(optuna_storage.connect("sqlite:///sweeps.db"), "toy"), MlflowClient(uri)
        client.update_run(book.spec.run, status="RUNNING")
        client.delete_run(run_id(Path(".sweeps/toy/trial-1")))
        book.note(publish.CHAMPION, None)
        done = sweep("doctor", "--repair")
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("· mended") == 3 and "its best trial is not the champion → registered" in done.stdout
        assert len(done.stdout.splitlines()) == 4, "and MLflow says nothing"
        assert sweep("doctor").stdout == f"{WHOLE}\n"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    done = sweep("doctor")
    assert done.returncode == 1 and f"MLflow cannot be looked at: --tracking-uri={uri} cannot be opened" in done.stdout


def test_without_sweeps_it_says_so(folder: Path) -> None:
    done = sweep("doctor")
    assert done.returncode == 0 and done.stdout.startswith("no sweeps here yet") and not list(folder.iterdir())
