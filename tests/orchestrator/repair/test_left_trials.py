"""`sweep doctor` and trials that were left in the middle."""

import os
import shutil

import pytest

from orchestrator import layout
from orchestrator.messages import Ended
from orchestrator.worker import result
from tests.support.clinic import WHOLE, Clinic, cured, stays


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
    result.save(clinic.at(left), Ended("complete", (0.5,), seconds=1.0))
    shutil.copy(clinic.at(0) / layout.WEIGHTS, clinic.at(left))  # a trial that is complete has its own
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
    path = clinic.at(left) / layout.CHECKPOINT
    if how == "cut":
        shutil.copy(path, path.with_name(layout.PREVIOUS_CHECKPOINT))
        for name in (layout.CHECKPOINT, layout.PREVIOUS_CHECKPOINT):
            os.truncate(clinic.at(left) / name, 100)
    else:
        shutil.rmtree(clinic.at(left) / "outbox")
    (found,) = clinic.findings()
    assert found == f"trial {left}: its checkpoint cannot be read → none; it begins anew when the sweep is resumed"
    assert clinic.findings(repair=True) == [f"{found} · not repaired"]
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
