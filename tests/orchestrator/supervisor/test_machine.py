"""The machine of a sweep: how its threads are divided among workers."""

import pytest

from orchestrator import devices
from orchestrator.search import plan
from orchestrator.search.options import request
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
