"""How long a sweep still takes."""

import time

import pytest

from orchestrator.messages import Pulse
from orchestrator.search.trials import PendingTrial
from orchestrator.supervisor.status import RunningTrial, SweepStatus, estimate
from tests.support.jobs import Worker


def status(total: int, complete: int, *running_for: float) -> SweepStatus:
    """Of a sweep some of whose trials have run for so many seconds."""
    now = time.monotonic()
    running = {
        number: RunningTrial(
            PendingTrial(number, {}, {}, 0, None), 0, Worker(), now - seconds, now, Pulse("training", 0, 1)
        )
        for number, seconds in enumerate(running_for)
    }
    return SweepStatus("toy", total, "loss", {"complete": complete}, running)


@pytest.mark.parametrize(
    ("sweep", "took", "slots", "seconds"),
    [
        (status(10, 4), [10.0, 20.0], 1, 90.0),
        (status(10, 4), [10.0, 20.0], 3, 30.0),
        (status(10, 4, 5.0, 3.0), [10.0, 20.0], 2, 41.0),
        (status(2, 0, 1000.0), [15.0], 1, 15.0),
        (status(1, 2), [15.0], 1, 0.0),
    ],
    ids=["one after another", "three at once", "what runs is partly done", "one that runs too long", "nothing is left"],
)
def test_the_time_left_is_that_of_the_trials_left(
    sweep: SweepStatus, took: list[float], slots: int, seconds: float
) -> None:
    for trial in sweep.running.values():
        trial.began += time.monotonic() - trial.heard  # since the table was made
    assert estimate(sweep, took, slots) == pytest.approx(seconds, abs=1.0)


def test_before_the_first_trial_has_ended_nothing_is_said() -> None:
    assert estimate(status(10, 0, 5.0), [], 1) is None
