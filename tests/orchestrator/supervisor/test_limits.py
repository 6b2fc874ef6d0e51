"""Hung is not slow."""

import time

import pytest

from orchestrator.messages import WAITING, Pulse
from orchestrator.search.trials import Death, PendingTrial
from orchestrator.supervisor.deaths import hopeless
from orchestrator.supervisor.limits import Limits
from orchestrator.supervisor.status import RunningTrial
from tests.support.jobs import Worker


def running(job: Worker, stage: str, quiet: float, began: float = 0.0) -> RunningTrial:
    now = time.monotonic()
    return RunningTrial(PendingTrial(0, {}, {}, 0, None), 0, job, now - began, now - quiet, Pulse(stage, 1, 10))


def test_in_training_silence_is_enough() -> None:
    limits = Limits(silence=60)
    assert not limits.silent(running(Worker(100.0), "training", 59), time.monotonic())
    assert limits.silent(running(Worker(100.0), "training", 61), time.monotonic()) == (
        "silent for 60 s at training 1/10, so its worker was ended"
    )
    assert not Limits(silence=None).silent(running(Worker(), "training", 1e6), time.monotonic())


@pytest.mark.parametrize("stage", ["start", "judge", "evaluation"])
def test_elsewhere_a_worker_that_computes_is_not_hung(stage: str) -> None:
    limits, worker = Limits(silence=60), Worker(5.0)
    one = running(worker, stage, 61)
    assert not limits.silent(one, time.monotonic()), "it has as long again"
    one.heard -= 61
    worker.used = 30.0
    assert not limits.silent(one, time.monotonic()), "it computes"
    one.heard -= 61
    assert "silent for 60 s at" in limits.silent(one, time.monotonic()), "it does not"


def test_a_worker_that_gets_a_tenth_of_a_core_computes() -> None:
    limits, worker = Limits(silence=1), Worker(5.0)
    one = running(worker, "evaluation", 1.1)
    assert not limits.silent(one, time.monotonic())
    for _ in range(3):
        one.heard -= 1.1
        worker.used += 0.1
        assert not limits.silent(one, time.monotonic()), "others want the core as well"
    one.heard -= 1.1
    worker.used += 0.01
    assert limits.silent(one, time.monotonic())


def test_a_trial_that_waits_for_a_place_in_a_cluster_has_not_begun() -> None:
    limits = Limits(silence=60, trial=10)
    assert limits.late(running(Worker(None), "evaluation", 0, began=11), time.monotonic())
    waiting = running(Worker(None), WAITING, 61, began=1e6)
    assert not limits.late(waiting, time.monotonic()) and not limits.silent(waiting, time.monotonic())


def test_where_processor_time_is_not_known_nothing_is_hung() -> None:
    limits, one = Limits(silence=60), running(Worker(None), "evaluation", 61)
    for _ in range(3):
        assert not limits.silent(one, time.monotonic())
        one.heard -= 61


def test_a_trial_may_be_given_a_limit() -> None:
    assert not Limits().late(running(Worker(), "training", 0, began=1e6), time.monotonic())
    assert not Limits(trial=60).late(running(Worker(), "training", 0, began=59), time.monotonic())
    assert "the limit that --trial-timeout sets" in Limits(trial=60).late(
        running(Worker(), "training", 0, began=61), time.monotonic()
    )


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        (["SIGSEGV"] * 2, False),
        (["SIGSEGV"] * 3, True),
        (["SIGKILL"] * 11, False),
        (["SIGKILL"] * 12, True),
        (["SIGABRT", "SIGABRT", *["SIGKILL"] * 3], False),
        (["SIGABRT", "SIGABRT", *["SIGKILL"] * 4], True),
    ],
)
def test_what_kills_from_outside_says_little_of_a_trial(signals: list[str], expected: bool) -> None:
    ends = [Death(7, f"the worker process 123 ended by signal {name}") for name in signals]
    assert hopeless(ends, 3) == expected
