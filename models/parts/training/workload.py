"""How much a training computes, known before it begins, and how long that takes on a device."""

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

FIRST_IMAGES = 8  # of the first timed pass; batches grow until a pass takes long enough to be timed
LONG_ENOUGH = 0.2  # seconds
REPETITIONS = 3  # of a pass; the fastest counts


class Workload(NamedTuple):
    """What a training computes: ``passes`` times ``images`` images forward through a network, and the gradient back."""

    passes: float
    images: int
    forward: Callable[[int], Tensor]  # so many images forward; its sum is differentiated


def of_gradients(energy: Callable[[Tensor], Tensor], shape: tuple[int, ...], passes: float, images: int) -> Workload:
    """Gradients in x of an energy of images of ``shape``, as steps of chains are."""
    return Workload(passes, images, lambda n: energy(torch.zeros(n, *shape, requires_grad=True)))


def seconds(build: Callable[[], Workload], device: str, threads: int = 1) -> float:
    """How long it takes on ``device`` if nothing else uses it: ``build`` makes the network there, and some passes are timed.

    On a processor one thread is timed by its own clock, which other programs do not move, and several by the clock on the wall;
    the faster counts, for threads that wait for a core that is busy say nothing of an idle one.
    """
    if device != "cpu":
        return _timed(build, device, partial(_accelerator, device))
    torch.set_num_threads(1)
    alone = _timed(build, device, time.process_time)
    if threads == 1:
        return alone
    torch.set_num_threads(threads)
    return min(alone, _timed(build, device, time.perf_counter))


def _timed(build: Callable[[], Workload], device: str, clock: Callable[[], float]) -> float:
    """Seconds of the whole, by some passes.

    Batches grow up to those of training, or until a pass takes a fifth of a second: a larger one takes as many times longer.
    """
    with torch.device(device):
        passes, images, forward = build()

        def once(n: int) -> float:
            begun = clock()
            forward(n).sum().backward()  # type: ignore[no-untyped-call]
            return clock() - begun

        n = min(FIRST_IMAGES, images)
        once(n)  # the first pass prepares what later ones use
        while True:
            fastest = min(once(n) for _ in range(REPETITIONS))
            if n == images or fastest >= LONG_ENOUGH:
                return fastest / n * images * passes
            n = min(2 * n, images)


def _accelerator(device: str) -> float:
    """Now, when the device has computed what was asked of it."""
    torch.accelerator.synchronize(torch.device(device))
    return time.perf_counter()
