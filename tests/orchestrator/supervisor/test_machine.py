"""The machine of a sweep: how its threads are divided among workers."""

import joblib
import pytest

from orchestrator import devices
from orchestrator.errors import UserError
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
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(devices, "cores", lambda: 8)
    spec = plan.resolve(request(QUADRATIC, name="toy", trials=9, deterministic=deterministic), bench.storage)
    place = machine(spec, {"workers": workers, "launcher": launcher, "device": "cpu"})
    assert place.resources.threads == threads


@pytest.mark.parametrize(
    ("typed", "variables", "workers", "threads"),
    [
        ({}, {}, 4, 2),
        ({}, {"OMP_NUM_THREADS": "4"}, 2, 4),
        ({}, {"OMP_NUM_THREADS": "3,1"}, 2, 3),
        ({}, {"OMP_NUM_THREADS": "many"}, 4, 2),
        ({"workers": 3}, {"OMP_NUM_THREADS": "1"}, 3, 1),
        ({"threads": 2}, {"OMP_NUM_THREADS": "1"}, 4, 2),
        ({"threads": 16}, {}, 1, 16),
        ({"workers": 0, "threads": 3}, {}, 1, 3),
        ({"workers": 0}, {"OMP_NUM_THREADS": "5"}, 1, 5),
        ({}, {"SLURM_CPUS_PER_TASK": "2"}, 2, 1),
        ({}, {"SLURM_CPUS_PER_TASK": "64"}, 4, 2),
        ({"workers": 1}, {"SLURM_CPUS_PER_TASK": "6"}, 1, 6),
    ],
)
def test_threads_are_those_that_are_typed_or_in_the_environment(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    typed: dict[str, int],
    variables: dict[str, str],
    workers: int,
    threads: int,
) -> None:
    """On eight cores."""
    monkeypatch.setattr(joblib, "cpu_count", lambda: 8)
    for name in ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    spec = plan.resolve(request(QUADRATIC, name="toy", trials=9), bench.storage)
    resources = machine(spec, {"device": "cpu", **typed}).resources
    assert (resources.slots, resources.threads) == (workers, threads)


def test_threads_that_cannot_be_are_refused(bench: Bench) -> None:
    spec = plan.resolve(request(QUADRATIC, name="toy", trials=9, deterministic=True), bench.storage)
    with pytest.raises(UserError, match="--deterministic computes with one thread; leave out --threads 2"):
        machine(spec, {"device": "cpu", "threads": 2})
    with pytest.raises(
        UserError,
        match="--threads 1000000: .* more than 8 threads for each only slow .*; take at most",
    ):
        machine(spec, {"device": "cpu", "threads": 1_000_000})


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
