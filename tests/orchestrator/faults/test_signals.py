"""Signals that end a sweep: a process group, a batch system or a closed terminal sends them to more than the supervisor."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.support.faults import EVERY, GATED, HALF, STEPS, computed_twice, files_only
from tests.support.place import Place
from tests.support.processes import Process, kill, wait_until_gone

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def terminal() -> Iterator[None]:
    """Commands hear that their terminal is closed, although `nohup` may have started these tests."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def to_the_group(process: Process) -> None:
    """As `timeout` does: first to the command, then to its whole group, the command among it."""
    os.kill(process.pid, signal.SIGTERM)
    os.killpg(process.pid, signal.SIGTERM)


def to_all(process: Process) -> None:
    """As batch systems do: to every process of the job, in any order. Here it is the signal of a terminal that is closed."""
    for child in process.family():
        kill(child.pid, signal.SIGHUP)
    kill(process.pid, signal.SIGHUP)


@files_only
def test_a_signal_to_all_processes_ends_the_sweep_in_order(place: Place) -> None:
    """One sentence tells what happened, and resume continues exactly."""
    arguments = place.run("--trials", "2", *EVERY, **GATED)
    for send, sentence in (
        (to_the_group, "ended early: terminated by SIGTERM."),
        (to_all, "ended early: its terminal was closed (SIGHUP)."),
    ):
        process = place.start(*arguments)
        process.wait_for(lambda: len(place.workers()) == 2)
        process.wait_for(place.computed(2, step=HALF))
        family = process.family()
        send(process)
        assert process.finish().returncode == 130, process.output
        wait_until_gone(family)
        assert "goes on" not in process.stdout and "exit status" not in process.stdout, process.stdout
        assert f"{sentence} Go on with:  sweep resume toy" in process.stdout, process.output
        assert not process.stderr, process.stderr
        arguments = ["resume", "toy", "--workers", "2", "--checkpoint-every", "0.5"]
    place.open_gate()
    done = place.sweep(*arguments)
    assert done.returncode == 0, done.output
    place.check(2, STEPS)
    assert computed_twice(place) == 0 and not any(trial.user_attrs.get("deaths") for trial in place.trials())


@files_only
def test_ctrl_c_twice_leaves_at_once_and_says_how_to_go_on(place: Place) -> None:
    process = place.start(*place.run("--trials", "2", *EVERY, **GATED))
    process.wait_for(lambda: len(place.workers()) == 2)
    process.wait_for(place.computed(2, step=HALF))
    family = process.family()
    kill(process.pid, signal.SIGINT)
    time.sleep(0.2)
    kill(process.pid, signal.SIGINT)
    assert process.finish().returncode == 130, process.output
    wait_until_gone(family)
    assert process.output.count("ended early: interrupted. Go on with:  sweep resume toy") == 1, process.output
    assert "Aborted" not in process.output and "Traceback" not in process.output, process.output
    place.open_gate()
    assert place.sweep("resume", "toy", "--workers", "2").returncode == 0
    place.check(2, STEPS)


INTERRUPTED = """
import os, signal
{moment}
original = getattr(owner, name)
def interrupted(*arguments, **more):
    result = original(*arguments, **more)
    os.kill(os.getpid(), signal.SIGINT)
    return result
setattr(owner, name, interrupted)
"""


DROPPED = """
import os, signal, weakref
import orchestrator.__main__
import orchestrator.search.plan as plan
original = plan.resolve
class Thing: pass
def resolve(*arguments, **more):
    thing = Thing()
    watch = weakref.ref(thing, lambda gone: os.kill(os.getpid(), signal.SIGINT))
    del thing  # what is raised in the callback is dropped
    return original(*arguments, **more)
plan.resolve = resolve
"""


@files_only
def test_ctrl_c_is_heard_where_python_drops_it(place: Place) -> None:
    process = place.start(*place.run("--trials", "1", "--workers", "0"), script=DROPPED)
    assert process.finish().returncode == 130, process.output
    assert "Exception ignored" not in process.output and "Traceback" not in process.output, process.output


@files_only
@pytest.mark.parametrize(
    ("moment", "sentence"),
    [
        ("import orchestrator.search.plan as owner; name = 'resolve'", "interrupted; give the same command again"),
        ("import orchestrator.search.new_sweep as owner; name = 'add_study'", "Go on with:  sweep resume toy"),
        ("import orchestrator.search.home as owner; name = 'mark'", "Go on with:  sweep resume toy"),
    ],
    ids=["planned", "made", "driven"],
)
def test_ctrl_c_in_the_first_seconds_is_answered_with_the_way_to_go_on(
    place: Place, moment: str, sentence: str
) -> None:
    process = place.start(*place.run("--trials", "1", "--workers", "0"), script=INTERRUPTED.format(moment=moment))
    assert process.finish().returncode == 130, process.output
    assert sentence in process.output and "Aborted" not in process.output, process.output
    assert "Traceback" not in process.output, process.output
    done = place.sweep(*place.run("--trials", "1", "--workers", "0"))
    assert done.returncode == 0, done.output
