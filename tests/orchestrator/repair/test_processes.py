"""`sweep doctor` and processes: workers and supervisors that were left, and several faults at once."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow.exceptions import MlflowException

from orchestrator import layout
from orchestrator.delivery.outbox import path_of
from orchestrator.search.book import DRIVER
from orchestrator.supervisor import lease
from orchestrator.tracking.stored_run import KEY
from orchestrator.worker import lock
from tests.support.clinic import WHOLE, Clinic, cured, everything, say_later, stays
from tests.support.paths import QUADRATIC, ROOT

PARENT = "mlflow.parentRunId"


@pytest.fixture
def sleeper() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a process that holds a trial's folder, if one is given, and sleeps."""
    processes = []

    def start(folder: Path | None = None) -> subprocess.Popen[str]:
        hold = f"lock.hold_worker_lock(pathlib.Path({str(folder)!r}))" if folder else "contextlib.nullcontext()"
        code = (
            "import contextlib, pathlib, time\nfrom orchestrator.worker import lock\n"
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
    assert process.wait() == -signal.SIGKILL
    assert lock.held(clinic.at(0)) is False
    assert (clinic.at(0) / layout.WORKER).exists() is False


def test_a_worker_on_another_machine_is_not_ours_to_end(clinic: Clinic, left: int, sleeper: Any) -> None:
    process = sleeper(clinic.at(left))
    (clinic.at(left) / layout.WORKER).write_text(json.dumps({"host": "elsewhere", "process": process.pid}))
    (found,) = clinic.findings(repair=True)
    assert found.endswith(f"· not repaired (a worker of trial-{left} still runs on elsewhere; end it there first)")
    assert process.poll() is None


def test_a_supervisor_that_left_without_a_word_is_cleared(clinic: Clinic, sleeper: Any) -> None:
    clinic.run()
    clinic.book.note(DRIVER, driver(sleeper(), began=1.0))
    cured(clinic, r"the sweep: stale lease: supervisor \(pid \d+ on .*\) is no longer running → lease cleared")


def test_while_it_is_driven_only_what_has_ended_is_looked_at(clinic: Clinic, left: int, sleeper: Any) -> None:
    process = sleeper()
    clinic.book.note(DRIVER, driver(process))
    for number in (None, left):  # as it is while it is driven
        clinic.client.update_run(clinic.id(number), status="RUNNING")
    said = f"toy: driven by process {process.pid} on .*, so only trials that have ended are looked at, and nothing is repaired"
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


def test_nobody_begins_while_it_repairs(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic.run()
    clinic.client.update_run(clinic.id(1), status="RUNNING")
    present, asked = lease.present, iter([None, None])
    drivers, driven = lease.driver, iter([None])
    with lease.acquire_lease(clinic.book):  # somebody who begins when the doctor has looked
        monkeypatch.setattr(lease, "present", lambda book: next(asked, present(book)))
        monkeypatch.setattr(lease, "driver", lambda book: next(driven, drivers(book)))
        (found,) = clinic.findings(repair=True)
    assert "· not repaired (sweep 'toy' is being driven by process" in found
    assert clinic.client.get_run(clinic.id(1)).info.status == "RUNNING"


def test_what_cannot_be_repaired_hinders_nothing_else(clinic: Clinic) -> None:
    mine = clinic.folder / "mine.py"
    mine.write_text(Path(QUADRATIC).read_text())
    clinic.run(study=str(mine))
    (clinic.artifacts(0) / "config.json").unlink()
    clinic.client.update_run(clinic.id(1), status="RUNNING")
    mine.unlink()
    first, second = clinic.findings(repair=True)
    assert "trial 0: its run lacks config.json" in first and "· not repaired (there is no file" in first
    assert second.endswith("· repaired")


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
