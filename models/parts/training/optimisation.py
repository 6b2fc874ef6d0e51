"""What trainers do alike: begin from a seed, follow a learning rate, average weights, report in time, come back."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Generator, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import get_ema_multi_avg_fn

REPORTS = 100  # over a training, about
WARMUP = 50  # updates over which a learning rate rises


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Networks that are made in here draw their first weights from ``seed``; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # not the GPUs' as well
        yield


def learning_rate(largest: float, update: int, updates: int, warmup: int = WARMUP, least: float = 0.05) -> float:
    """At ``update`` of ``updates``, from 0: up in a line over ``warmup``, then by a cosine down to the share ``least``.

    A cosine without restarts (Loshchilov and Hutter 2017, arXiv:1608.03983).
    """
    warm = min(1.0, (update + 1) / warmup)
    return largest * warm * ((1 + least) / 2 + (1 - least) / 2 * math.cos(math.pi * update / updates))


def set_learning_rate(optimizer: Optimizer, value: float) -> None:
    """Of all its parameters, from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = value


def follow(average: nn.Module, network: nn.Module, update: int, decay: float) -> None:
    """Move the averaged weights towards the network's after ``update``, from 0; buffers are the network's own.

    The average keeps ``decay`` of itself, and less at first, when the weights are far from anything good.
    """
    keep = min(decay, (1 + update) / (10 + update))
    mean = get_ema_multi_avg_fn(keep)  # type: ignore[no-untyped-call]
    mean(list(average.parameters()), list(network.parameters()), update)
    for mine, theirs in zip(average.buffers(), network.buffers(), strict=True):
        mine.copy_(theirs)


def due(done: int, updates: int, times: int = REPORTS) -> bool:
    """Whether ``done`` of ``updates`` is one of about ``times`` moments, evenly over training, or the last."""
    return done % max(1, updates // times) == 0 or done == updates


def milestones(updates: int, parts: int) -> set[int]:
    """Updates after which a part of training is over, but for the last part, after which all is."""
    return {updates * part // parts for part in range(1, parts)} - {0}


def settled(done: int, updates: int, least: int) -> bool:
    """Whether a training that still looks bad is no longer excused: after ``least`` updates and a quarter of them."""
    return done > max(least, updates // 4)


def finite(values: Mapping[str, float]) -> dict[str, float]:
    """Those that are numbers: a curve has a gap where there is none."""
    return {name: value for name, value in values.items() if math.isfinite(value)}


Part = nn.Module | Optimizer | Generator
"""What changes as training goes on, and is asked for its state."""


def state(update: int, parts: Mapping[str, Part], **others: Any) -> dict[str, Any]:
    """All that decides how training goes on after ``update``, for a checkpoint."""
    states = {
        name: part.get_state() if isinstance(part, Generator) else part.state_dict() for name, part in parts.items()
    }
    return {"update": update, **states, **others}


def restore(parts: Mapping[str, Part], state: Mapping[str, Any]) -> None:
    """Each part as it was when ``state`` was made."""
    for name, part in parts.items():
        if isinstance(part, Generator):
            part.set_state(state[name].cpu())
        else:
            part.load_state_dict(state[name])
