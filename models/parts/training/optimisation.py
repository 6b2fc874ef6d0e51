"""Initial weights from a seed, the schedule of a learning rate, and averaged weights."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.swa_utils import get_ema_multi_avg_fn

WARMUP = 50  # updates over which a learning rate rises


@contextmanager
def seeded_init(seed: int) -> Iterator[None]:
    """Networks made in this context draw their first weights from ``seed``; torch's global generator does not change."""
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


def update_ema(average: nn.Module, network: nn.Module, update: int, decay: float) -> None:
    """Move the averaged weights towards the network's after ``update``, from 0; buffers are the network's own.

    The average keeps ``decay`` of itself, and less at first, when the weights are far from anything good.
    """
    keep = min(decay, (1 + update) / (10 + update))
    mean = get_ema_multi_avg_fn(keep)  # type: ignore[no-untyped-call]
    mean(list(average.parameters()), list(network.parameters()), update)
    for averaged, current in zip(average.buffers(), network.buffers(), strict=True):
        averaged.copy_(current)
