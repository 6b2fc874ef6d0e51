"""Workers that hang are replaced, and workers that are only slow are not."""

import signal
import time

import pytest

from tests.support.faults import EVERY, GATED, HALF, SILENCE, STEP, STEPS, computed_twice, servers_long
from tests.support.place import Place
from tests.support.processes import kill

pytestmark = pytest.mark.slow


@servers_long
def test_a_frozen_worker_is_replaced(place: Place) -> None:
    process = place.start(*place.run("--trials", "2", *EVERY, "--silence", str(SILENCE), **GATED))
    process.wait_for(place.computed(2, step=HALF))
    frozen = place.workers()[1]
    kill(frozen, signal.SIGSTOP)
    process.wait_for(lambda: place.workers().get(1, frozen) != frozen)
    place.open_gate()
    assert process.finish().returncode == 0, process.output
    assert f"silent for {SILENCE} s at training" in process.stdout
    place.check(2, STEPS)
    assert computed_twice(place) <= 0.5 / STEP + 2


@servers_long
def test_a_supervisor_that_stood_still_does_not_take_its_workers_for_hung(place: Place) -> None:
    """As after Ctrl-Z and fg."""
    process = place.start(*place.run("--trials", "2", *EVERY, "--silence", str(SILENCE), **GATED))
    process.wait_for(place.computed(2, step=HALF))
    kill(process.pid, signal.SIGSTOP)
    time.sleep(1.5 * SILENCE)  # workers may be silent for less than this
    kill(process.pid, signal.SIGCONT)
    place.open_gate()
    assert process.finish().returncode == 0 and "silent" not in process.stdout, process.output
    place.check(2, STEPS)
    assert computed_twice(place) == 0


@servers_long
def test_an_endless_loop_is_ended_and_tried_again(place: Place) -> None:
    stem = f"{place.folder}/once-"
    done = place.sweep(
        *place.run(
            "--trials", "2", *EVERY, "--silence", str(SILENCE), mode="loop_once", stem=stem, steps=5, seconds=0.1
        )
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"silent for {SILENCE} s at training") == 2
    place.check(2, 5)


@servers_long
def test_hung_is_not_slow(place: Place) -> None:
    """An evaluation that computes for three times the limit, and says nothing, is left alone."""
    done = place.sweep(*place.run("--trials", "2", *EVERY, "--silence", "4", evaluation=12, steps=5))
    assert done.returncode == 0, done.stderr
    assert "silent" not in done.stdout
    place.check(2, 5)


@servers_long
def test_a_trial_that_takes_too_long_has_failed(place: Place) -> None:
    done = place.sweep(*place.run("--trials", "2", *EVERY, "--trial-timeout", "2", mode="loop", steps=5))
    assert done.returncode == 1, done.stderr
    place.check(2, 5, failed=2)
    assert {trial.user_attrs["reason"] for trial in place.trials()} == {"TrialTimeout"}
