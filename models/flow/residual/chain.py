"""The blocks of a residual flow: convolutions on maps of falling size, then all pixels at once.

As Chen et al. 2019 (arXiv:1906.02735, appendix E) build it: before each block a scale and a shift that start from data, in each
block LipSwish before every layer but the very first, and no part of an image leaves early.
"""

import math
from collections.abc import Iterator

import torch
from torch import Generator, Tensor, nn

from models.flow.block import Block, Chain
from models.flow.config import Config
from models.flow.mixing import ActNorm
from models.flow.rearrangements import Squeeze
from models.flow.residual.activation import LipSwish
from models.flow.residual.block import Estimator, Residual
from models.flow.residual.lipschitz import Bound, LipschitzConvolution, LipschitzLayer, LipschitzLinear
from models.flow.residual.tails import TAILS, Terms


class Reshaped(Block):
    """The numbers of maps as maps of another shape, in their order."""

    def __init__(self, before: tuple[int, int, int], after: tuple[int, int, int]) -> None:
        super().__init__()
        self.before, self.after = before, after

    def forward(self, x: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        return x.reshape(-1, *self.after), torch.zeros(len(x), device=x.device, dtype=x.dtype)

    def inverse(self, z: Tensor) -> Tensor:
        return z.reshape(-1, *self.before)


def chain(config: Config, shape: tuple[int, int, int]) -> Chain:
    """The blocks for images of ``shape``, whose sides can be halved ``scales − 1`` times; noise has the same shape."""
    return Chain(_blocks(config, shape))


def _blocks(config: Config, shape: tuple[int, int, int]) -> Iterator[Block]:
    estimator, maps, first = estimator_of(config), shape, True

    def normalised(channels: int) -> list[Block]:
        return [ActNorm(channels)] if config.normalise == "actnorm" else []

    for scale in range(config.scales):
        if scale:
            yield Squeeze()
            maps = (4 * maps[0], maps[1] // 2, maps[2] // 2)
        for _ in range(config.steps):
            yield from normalised(maps[0])
            yield Residual(_network(_convolutions(config, maps), first), estimator)
            first = False
    if config.dense_steps:
        numbers = (math.prod(maps), 1, 1)
        yield Reshaped(maps, numbers)
        maps = numbers
        for _ in range(config.dense_steps):
            yield from normalised(maps[0])
            yield Residual(_network(_dense(config, maps[0]), first), estimator)
            first = False
    yield from normalised(maps[0])
    yield Reshaped(maps, shape)


def estimator_of(config: Config) -> Estimator:
    """How training estimates log-determinants."""
    terms = Terms(config.exact_terms, TAILS[config.tail](config.tail_terms))
    return Estimator(terms, config.probes, config.gradient)


def bound_of(config: Config) -> Bound:
    """On each layer."""
    return Bound(config.coefficient, config.norm_iterations)


def _convolutions(config: Config, maps: tuple[int, int, int]) -> list[LipschitzLayer]:
    channels, size, width, bound = maps[0], maps[1:], config.width, bound_of(config)
    middle = [LipschitzConvolution(width, width, 1, size, bound) for _ in range(config.depth)]
    first = LipschitzConvolution(channels, width, 3, size, bound)
    return [first, *middle, LipschitzConvolution(width, channels, 3, size, bound)]


def _dense(config: Config, numbers: int) -> list[LipschitzLayer]:
    sizes = [numbers, *[config.hidden] * (config.depth + 1), numbers]
    return [LipschitzLinear(a, b, bound_of(config)) for a, b in zip(sizes, sizes[1:], strict=False)]


def _network(layers: list[LipschitzLayer], first: bool) -> nn.Sequential:
    """LipSwish before each layer, but not before the first layer of the ``first`` block: pixels enter as they are."""
    parts: list[nn.Module] = []
    for layer in layers:
        parts += [LipSwish(), layer]
    return nn.Sequential(*parts[1:] if first else parts)
