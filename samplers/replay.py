"""The replay buffer of persistent chains, as a value: what it holds is all that there is to save.

Chains go on where an earlier update left them (Tieleman 2008; Du and Mordatch 2019, section 3.1), but for a small share
that begins anew.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from samplers import starts


class Replay(NamedTuple):
    """Ends of earlier chains."""

    images: Tensor  # (capacity, *shape)
    bounds: tuple[float, float]  # of the noise that fills it and from which fresh chains begin


def init(capacity: int, shape: tuple[int, ...], bounds: tuple[float, float], generator: Generator) -> Replay:
    """A buffer of ``capacity`` chains that have not begun: uniform noise."""
    return Replay(starts.uniform(capacity, shape, bounds, generator), bounds)


def draw(
    replay: Replay,
    n: int,
    fresh_share: float,
    generator: Generator,
    start: Callable[[Tensor, Generator], Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Starts for ``n`` chains, (n, *shape), and the slots they belong to, (n,), all different.

    Each start is fresh with probability ``fresh_share``, else what its slot holds. Fresh ones are uniform noise, or what
    ``start`` makes for the slots. ``n`` must not exceed the capacity.
    """
    capacity = len(replay.images)
    if n > capacity:
        raise ValueError(f"{n} chains cannot be drawn from a replay buffer of {capacity}; make it larger")
    device = replay.images.device
    slots = torch.randperm(capacity, generator=generator, device=device)[:n]
    x = replay.images[slots]
    fresh = torch.rand(n, generator=generator, device=device) < fresh_share
    anew = start(slots, generator) if start else starts.uniform(n, tuple(x.shape[1:]), replay.bounds, generator)
    return torch.where(fresh.view(-1, *[1] * (x.dim() - 1)), anew, x), slots


def put(replay: Replay, slots: Tensor, x: Tensor) -> Replay:
    """The buffer with ``x`` in ``slots``. It takes over the old one's memory: use only what is returned."""
    replay.images[slots] = x.detach()
    return replay
