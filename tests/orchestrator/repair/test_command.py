"""`sweep doctor` as its user has it: a process, after real deaths."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from orchestrator.delivery.outbox import run_id
from orchestrator.search import book as books
from orchestrator.stores import optuna_storage
from orchestrator.tracking import publish
from orchestrator.worker import lock
from tests.support.cli import GATED, sweep
from tests.support.clinic import WHOLE, everything
from tests.support.paths import QUADRATIC
from tests.support.processes import Process, wait_for, wait_until_gone
from tests.support.stores import points_per_run, statuses, two_trials_train

SMALL = ("network_evaluations=1200", "evaluation_samples=64", "width=8")


@pytest.mark.slow
def test_after_kill_9_the_doctor_closes_what_was_left_and_resume_completes_it(start: Callable[..., Process]) -> None:
    process = start("run", QUADRATIC, "--name", "toy", "--trials", "3", "--workers", "2", *GATED)
    process.wait_for(two_trials_train)
    family = process.family()
    process.kill()
    wait_until_gone(family)
    assert statuses() == {"toy": "RUNNING", "trial 0": "RUNNING", "trial 1": "RUNNING"}
    before = everything()
    done = sweep("doctor", "toy")
    assert done.returncode == 1 and everything() == before, done.stderr
    for words in (
        f"the sweep: stale lease: supervisor (pid {process.pid} on ",
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
    Path("gate").touch()
    done = sweep("resume", "toy")
    assert done.returncode == 0, done.stderr
    done = sweep("doctor")
    assert done.returncode == 0 and done.stdout == f"{WHOLE}\n", done.stdout
    assert points_per_run() == [(40, 40)] * 3, "nothing was lost"


@pytest.mark.slow
def test_at_once_after_kill_9_workers_that_still_run_leave_with_their_checkpoints(
    start: Callable[..., Process],
) -> None:
    process = start("run", QUADRATIC, "--name", "toy", "--trials", "2", "--workers", "2", *GATED)
    process.wait_for(two_trials_train)
    workers = list(Path(".sweeps").rglob("worker.lock"))
    process.kill()
    done = sweep("doctor", "--repair")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not any(lock.held(path.parent) for path in workers)
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
        wait_for(lambda: answers(port))
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
        assert done.stdout.count("· repaired") == 3 and "its best trial is not the champion → registered" in done.stdout
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
