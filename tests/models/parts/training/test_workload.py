"""How long a training takes: timed passes times their number, by a clock that each pass moves on."""

import pytest
import torch
from torch import Tensor

import studies
from models.parts.training import workload
from models.parts.training.workload import Workload


@pytest.mark.parametrize(("seconds_per_image", "images"), [(0.001, 40), (0.1, 40), (0.001, 3)])
def test_the_time_is_that_of_a_pass_by_the_passes(
    monkeypatch: pytest.MonkeyPatch, seconds_per_image: float, images: int
) -> None:
    now, batches = [0.0], list[int]()
    monkeypatch.setattr(workload.time, "process_time", lambda: now[0])

    def forward(n: int) -> Tensor:
        batches.append(n)
        now[0] += n * seconds_per_image
        return torch.zeros(n, requires_grad=True)

    expected = 1000 * images * seconds_per_image
    assert workload.seconds(lambda: Workload(1000, images, forward), "cpu") == pytest.approx(expected)
    assert max(batches) <= images
    quick = seconds_per_image * max(batches) < 0.2
    assert not quick or max(batches) == images, "a pass that is too short to be timed has the whole batch"


def test_one_thread_is_timed_by_its_own_clock_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, now = list[int](), iter(range(1000))
    monkeypatch.setattr(workload.torch, "set_num_threads", threads.append)
    monkeypatch.setattr(workload.time, "process_time", lambda: float(next(now)))
    monkeypatch.setattr(workload.time, "perf_counter", lambda: pytest.fail("the clock on the wall was asked"))
    passes = Workload(3, 2, lambda n: torch.zeros(n, requires_grad=True))
    assert workload.seconds(lambda: passes, "cpu", threads=1) == pytest.approx(3)
    assert threads == [1]


@pytest.mark.parametrize(("per_image_on_the_wall", "counts"), [(5.0, 0.1), (0.05, 0.05)])
def test_threads_that_only_wait_do_not_count(
    monkeypatch: pytest.MonkeyPatch, per_image_on_the_wall: float, counts: float
) -> None:
    """On a busy machine several threads take longer than one: then the one's time is nearer to an idle machine's."""
    clocks = {"process_time": 0.0, "perf_counter": 0.0}
    monkeypatch.setattr(workload.time, "process_time", lambda: clocks["process_time"])
    monkeypatch.setattr(workload.time, "perf_counter", lambda: clocks["perf_counter"])

    def forward(n: int) -> Tensor:
        clocks["process_time"] += n * 0.1
        clocks["perf_counter"] += n * per_image_on_the_wall
        return torch.zeros(n, requires_grad=True)

    before = torch.get_num_threads()
    try:
        assert workload.seconds(lambda: Workload(10, 8, forward), "cpu", threads=2) == pytest.approx(10 * 8 * counts)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", [name for name in studies.names() if studies.load(name).workload])
def test_a_workload_is_that_of_the_settings(name: str) -> None:
    """All of the budget, twice as much if that is doubled, and a gradient flows through a pass."""
    study, shape = studies.load(name), (1, 8, 8)
    assert study.workload is not None
    base = study.base(shape)
    budget = "updates" if "updates" in type(base).model_fields else "network_evaluations"
    one = study.workload(base, shape)
    two = study.workload(base.model_copy(update={budget: 2 * getattr(base, budget)}), shape)
    assert two.passes == 2 * one.passes > 0 and 0 < one.images <= base.batch_size
    one.forward(2).sum().backward()  # type: ignore[no-untyped-call]
