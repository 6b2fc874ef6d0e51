"""The machine of a sweep: how its threads are divided among workers."""

import pytest

from orchestrator import devices
from orchestrator.search import plan
from orchestrator.search.options import request
from orchestrator.supervisor.limits import Limits
from orchestrator.supervisor.machine import machine
from tests.support.bench import Bench
from tests.support.paths import QUADRATIC


@pytest.mark.parametrize(
    ("workers", "launcher", "deterministic", "threads"),
    [(3, "local", False, 2), (3, "inline", False, 8), (0, None, False, 8), (3, "local", True, 1), (0, None, True, 1)],
)
def test_workers_share_the_cores_and_trials_of_one_process_have_all_of_them(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, workers: int, launcher: str | None, deterministic: bool, threads: int
) -> None:
    monkeypatch.setattr(devices, "cores", lambda: 8)
    spec = plan.resolve(request(QUADRATIC, name="toy", trials=9, deterministic=deterministic), bench.storage)
    place = machine(spec, {"workers": workers, "launcher": launcher, "device": "cpu"})
    assert place.resources.threads == threads


def test_options_of_the_machine_become_its_limits(bench: Bench) -> None:
    """0 is no limit of silence; sweeps that run one after another share the time."""
    spec = plan.resolve(request(QUADRATIC, name="toy", trials=9), bench.storage)
    times = {"checkpoint_every": 5.0, "heartbeat_timeout": 7.0, "trial_timeout": 11.0, "timeout": 12.0}
    place = machine(spec, {**times, "max_worker_deaths": 2, "device": "cpu"})
    assert place.limits == Limits(checkpoint=5, silence=7, trial=11, deaths=2) and place.timeout == 12
    assert place.share(3).timeout == 4 and place.share(3).limits == place.limits
    endless = machine(spec, {"heartbeat_timeout": 0.0, "device": "cpu"})
    assert endless.limits == Limits(checkpoint=30, silence=None, trial=None, deaths=3)
    assert endless.timeout is None and endless.share(3).timeout is None
