"""The supervisor is killed at any moment: workers leave, and another one takes over exactly there."""

import os
import random
import signal
import time

import pytest

from orchestrator import layout
from tests.support.faults import (
    EVERY,
    GATED,
    HALF,
    STEPS,
    computed_twice,
    servers_long,
)
from tests.support.paths import QUADRATIC
from tests.support.place import Place
from tests.support.processes import kill, wait_until_gone

pytestmark = pytest.mark.slow


MOMENTS = {
    "asked": "from orchestrator.search.book import Book as owner; name, after = 'ask', True",
    "queued": "from optuna import Study as owner; name, after = 'enqueue_trial', True",
    "half asked": "from orchestrator.search.book import Book as owner; name, after = '_pending', False",
    "begun": "import orchestrator.tracking.trial_record as owner; name, after = 'begin', True",
    "launched": "from orchestrator.launchers.local import LocalLauncher as owner; name, after = 'launch', True",
    "reported": "from orchestrator.search.book import Book as owner; name, after = 'report', True",
    "ended": "import orchestrator.tracking.trial_record as owner; name, after = 'end', False",
    "recorded": "import orchestrator.tracking.trial_record as owner; name, after = 'end', True",
    "to be told": "from orchestrator.search.book import Book as owner; name, after = 'tell', False",
    "told": "from orchestrator.search.book import Book as owner; name, after = 'tell', True",
    "delivered": "from orchestrator.tracking.mlflow_store import MlflowStore as owner; name, after = 'deliver', True",
    "record made": "from orchestrator.tracking.mlflow_store import MlflowStore as owner; name, after = 'begin', True",
}
FIRST = "queued"  # only the study's own recipe is: trial 0
KILLER = """
import os, signal
{moment}
original, calls = getattr(owner, name), []
def killed(*arguments, **more):
    calls.append(name)
    if len(calls) == {call} and not after:
        os.kill(os.getpid(), signal.SIGKILL)
    result = original(*arguments, **more)
    if len(calls) == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
    return result
setattr(owner, name, killed)
"""


@pytest.mark.parametrize(
    ("seed", "kills"), [(0, 6), *(pytest.param(seed, 12, marks=pytest.mark.long) for seed in (0, 1))]
)
@servers_long
def test_the_supervisor_is_killed_between_any_two_of_its_acts(place: Place, seed: int, kills: int) -> None:
    """A moment after another in one sweep, all of them by `-m long`: nothing is lost, and nothing is there twice."""
    later = [moment for moment in MOMENTS if moment != FIRST]
    random.Random(seed).shuffle(later)
    later, total, begun = later[: kills - 1], kills + 2, False
    for moment in [FIRST, *later]:
        script = KILLER.format(moment=MOMENTS[moment], call=2 if begun else 1)
        arguments = ["resume", "toy", "--workers", "2", "--checkpoint-every", "0.1"]
        if not begun:
            arguments = place.run("--trials", str(total), *EVERY, "--sampler", "random", steps=6, seconds=0.05)
        process = place.start(*arguments, script=script).finish()
        assert process.returncode == -signal.SIGKILL, (moment, process.output)
        begun = True
    done = place.sweep("resume", "toy")
    assert done.returncode == 0, done.stderr
    place.check(total, 6)


@servers_long
def test_workers_leave_when_the_supervisor_is_killed(place: Place) -> None:
    process = place.start(*place.run("--trials", "3", *EVERY, **GATED))
    process.wait_for(place.computed(2, step=HALF))
    family = process.family()
    assert len(family) >= 3  # the fork server and two workers
    process.kill()
    wait_until_gone(family)
    assert {path.parent.name for path in place.folder.rglob(layout.CHECKPOINT)} == {"trial-0", "trial-1"}
    place.open_gate()
    done = place.sweep("resume", "toy", "--workers", "2")
    assert done.returncode == 0, done.stderr
    place.check(3, STEPS)
    assert computed_twice(place) == 0, "they left with a checkpoint"


@servers_long
def test_a_worker_that_does_not_notice_is_ended_when_the_supervisor_is_gone(place: Place) -> None:
    process = place.start(*place.run("--trials", "1", "--workers", "1", mode="loop", steps=5, journal="journal"))
    process.wait_for(place.computed(1, step=3))
    family = process.family()
    process.kill()
    wait_until_gone(family)


def test_another_supervisor_is_turned_away_and_takes_over_after_the_first_ones_death(
    place: Place,
) -> None:
    process = place.start(*place.run("--trials", "2", *EVERY, **GATED))
    process.wait_for(place.computed(2, step=HALF))
    second = place.sweep("resume", "toy")
    assert second.returncode == 2
    assert f"is being driven by process {process.pid} on {os.uname().nodename} since 20" in second.stderr
    frozen = place.workers()[0]
    kill(frozen, signal.SIGSTOP)  # this one will not leave by itself
    process.kill()
    third = place.start("resume", "toy", "--workers", "2", "--checkpoint-every", "0.5")
    third.wait_for(lambda: place.workers().get(0, frozen) != frozen)  # benchmarks/speed/recovery.py measures how soon
    place.open_gate()
    assert third.finish().returncode == 0, third.output
    place.check(2, STEPS)


@servers_long
def test_cut_checkpoints_and_outboxes_give_way_to_what_was_before(place: Place) -> None:
    process = place.start(*place.run("--trials", "3", *EVERY, **GATED))
    process.wait_for(lambda: len(list(place.folder.rglob(layout.PREVIOUS_CHECKPOINT))) == 2)
    family = process.family()
    process.kill()
    wait_until_gone(family)
    place.open_gate()
    newest = place.trial(0) / layout.CHECKPOINT
    os.truncate(newest, newest.stat().st_size // 2)
    for box in place.trial(1).glob("outbox/*.jsonl"):
        os.truncate(box, box.stat().st_size // 2)
    done = place.sweep("resume", "toy", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "cannot be read, so the one before is used" in (place.trial(0) / "log.txt").read_text()
    place.check(3, STEPS)


@servers_long
def test_interruptions_and_workers_leave_no_trace_in_a_deterministic_sweep(place: Place) -> None:
    """One worker, two, three; uninterrupted, and killed at a random moment, once or twice."""
    chance, found = random.Random(1), {}
    for workers, kills in ((1, 0), (2, 1), (3, 2)):
        name = f"with-{workers}"
        settings = ("--set", "seconds=0.1", "--set", "steps=6", "--checkpoint-every", "0.2", "--deterministic")
        process = place.start("run", QUADRATIC, "--name", name, "--trials", "9", "--workers", str(workers), *settings)
        for _ in range(kills):
            process.wait_for(lambda name=name: list(place.folder.glob(f".sweeps/{name}/trial-*/worker.json")))
            time.sleep(chance.uniform(0.5, 2.0))
            process.kill()
            process = place.start("resume", name, "--workers", str(workers), "--checkpoint-every", "0.2")
        assert process.finish().returncode == 0, process.output
        trials = place.trials(name)
        samples = [
            (place.folder / f".sweeps/{name}/trial-{trial.number}/samples.png").read_bytes()
            for trial in trials
            if trial.state.name == "COMPLETE"
        ]
        found[workers] = [(trial.params, trial.values, trial.state) for trial in trials], samples
    assert found[1] == found[2] == found[3] and len(found[1][0]) == 9
