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


def seconds(build: Callable[[], Workload], device: str) -> float:
    """How long it takes on ``device`` if nothing else uses it: ``build`` makes the network there, and some passes are timed.

    Batches grow up to those of training, or until a pass takes a fifth of a second: a larger one takes as many times longer.
    """
    with torch.device(device):
        passes, images, forward = build()
        n = min(FIRST_IMAGES, images)
        _timed(forward, n, device)  # the first pass prepares what later ones use
        while True:
            fastest = min(_timed(forward, n, device) for _ in range(REPETITIONS))
            if n == images or fastest >= LONG_ENOUGH:
                return fastest / n * images * passes
            n = min(2 * n, images)


def _timed(forward: Callable[[int], Tensor], n: int, device: str) -> float:
    """Seconds of a pass; on a processor that other programs use too, those that it would take alone."""
    clock = _processor if device == "cpu" else partial(_accelerator, device)
    begun = clock()
    forward(n).sum().backward()  # type: ignore[no-untyped-call]
    return clock() - begun


def _processor() -> float:
    return time.process_time() / torch.get_num_threads()


def _accelerator(device: str) -> float:
    """Now, when the device has computed what was asked of it."""
    torch.accelerator.synchronize(torch.device(device))
    return time.perf_counter()
