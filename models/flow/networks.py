"""A flow: images to noise and back, over scales of which each gives half of its channels away as noise."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from models.flow.block import Block, Chain
from models.flow.config import Config
from models.flow.couplings import ChannelCoupling, CheckerboardCoupling
from models.flow.mixing import ActNorm, Convolution1x1, Permutation
from models.flow.prior import Split, Top, standard_log_density
from models.flow.rearrangements import Centre, Logit, Squeeze
from models.flow.residual.chain import chain as residual_chain
from models.parts.evaluation import likelihood
from models.parts.training.workload import Workload


class Encoded(NamedTuple):
    """Pixels as noise."""

    noise: tuple[Tensor, ...]  # of each scale, standard normal if the flow is right: (n, channels, height, width)
    log_determinant: Tensor  # (n,)


class Flow(nn.Module):
    """x -> (noise, log |det|), and noise -> x.

    Pixels x (n, channels, height, width) are in [0, 1): levels that were placed within their cells.
    """

    levels: Tensor

    def __init__(self, config: Config, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("levels", torch.tensor(config.levels or likelihood.BYTE))
        self.edge: Block = Logit(config.logit) if config.logit else Centre()
        self.noise_shapes = noise_shapes(config, shape)
        # What enters a scale is what stays of the one before: as many channels as leave.
        entering = [shape[0], *(channels for channels, _, _ in self.noise_shapes[:-1])]
        if config.residual:
            self.chains = nn.ModuleList([residual_chain(config, shape)])
        else:
            self.chains = nn.ModuleList(_chain(config, channels, scale) for scale, channels in enumerate(entering))
        self.splits = nn.ModuleList(Split(2 * channels) for channels in entering[1:])
        self.top = Top(self.noise_shapes[-1], config.known_classes)

    def _body(self, x: Tensor, generator: Generator | None) -> tuple[list[Tensor], Tensor, Tensor]:
        """The noise of all scales but the last, its maps, and the log-determinant so far."""
        h, total = self.edge(x)
        noise = list[Tensor]()
        for scale, chain in enumerate(self.chains):
            h, change = chain(h, generator)
            total = total + change
            if scale < len(self.splits):
                h, leaving, change = self.splits[scale](h)
                noise.append(leaving)
                total = total + change
        return noise, h, total

    def _chain(self, scale: int) -> Chain:
        chain = self.chains[scale]
        assert isinstance(chain, Chain)
        return chain

    def _split(self, scale: int) -> Split:
        split = self.splits[scale]
        assert isinstance(split, Split)
        return split

    def encode(self, x: Tensor, labels: Tensor | None = None, generator: Generator | None = None) -> Encoded:
        """Pixels as noise; of ``labels`` (n,) where the prior knows classes."""
        noise, h, total = self._body(x, generator)
        top, change = self.top(h, labels)
        return Encoded((*noise, top), total + change)

    def decode(self, noise: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """Pixels of noise. Where no image has it, they are outside [0, 1)."""
        h = self.top.inverse(noise[-1], labels)
        for scale in reversed(range(len(self.chains))):
            if scale < len(self.splits):
                h = self._split(scale).inverse(h, noise[scale])
            h = self._chain(scale).inverse(h)
        return self.edge.inverse(h)

    def log_densities(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """log p(x | class) in nats, (n, classes); (n, 1) where the prior knows none."""
        noise, h, total = self._body(x, generator)
        for leaving in noise:
            total = total + standard_log_density(leaving)
        return total[:, None] + self.top.log_densities(h)

    def log_density(self, x: Tensor, labels: Tensor | None = None, generator: Generator | None = None) -> Tensor:
        """log p(x | labels) in nats, or log p(x) without labels, classes being equally likely: (n,)."""
        if labels is not None and self.top.classes:
            noise, log_determinant = self.encode(x, labels, generator)
            return log_determinant + sum(standard_log_density(part) for part in noise)
        densities = self.log_densities(x, generator)
        return densities.logsumexp(1) - math.log(densities.shape[1])

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """What begins with training images begins with ``x``, all within their cells; see Block.initialise."""
        h = self.edge.initialise(x)
        for scale in range(len(self.chains)):
            h = self._chain(scale).initialise(h)
            if scale < len(self.splits):
                h = self.splits[scale](h)[0]

    def split_noise(self, noise: Tensor) -> list[Tensor]:
        """Noise of the shape of images, as that of each scale: the same numbers in another order."""
        parts = torch.split(noise.flatten(1), [math.prod(shape) for shape in self.noise_shapes], 1)
        return [part.view(-1, *shape) for part, shape in zip(parts, self.noise_shapes, strict=True)]

    def images(self, x: Tensor) -> Tensor:
        """The images in [-1, 1] whose pixels, within their cells, are ``x``; what is outside is cut to black and white."""
        n = self.levels
        return (x * n).floor().clamp(torch.zeros_like(n), n - 1) / (n - 1) * 2 - 1

    def forward(self, noise: Tensor) -> Tensor:
        """Images in [-1, 1] of standard normal noise of their shape; of classes in turn where the prior knows some."""
        n = noise.shape[0]  # len() would fix it where the network is exported
        labels = torch.arange(n, device=noise.device) % self.top.classes if self.top.classes else None
        return self.images(self.decode(self.split_noise(noise), labels))


def noise_shapes(config: Config, shape: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """Of the noise of each scale: (channels, height, width). The sides of images of ``shape`` can be halved so often."""
    if config.residual:
        return [shape]
    shapes, (channels, height, width) = list[tuple[int, int, int]](), shape
    for scale in range(config.scales):
        if scale < config.halvings:
            channels, height, width = 4 * channels, height // 2, width // 2
        if scale < config.scales - 1:
            channels //= 2
        shapes.append((channels, height, width))
    return shapes


def _chain(config: Config, channels: int, scale: int) -> Chain:
    """The blocks of a scale, which so many channels enter."""
    if config.mixing == "checkerboard":
        return _checkerboards_and_channels(config, channels, scale == config.scales - 1)
    return _mixed_channels(config, channels)


def _mixed_channels(config: Config, channels: int) -> Chain:
    """A squeeze, then steps of GLOW: scale and shift, a mixture of channels, a coupling of halves."""
    channels *= 4
    blocks: list[Block] = [Squeeze()]
    for _ in range(config.steps):
        blocks += [*_normalised(config, channels), _mixture(config, channels), ChannelCoupling(config, channels)]
    return Chain(blocks)


def _mixture(config: Config, channels: int) -> Block:
    if config.mixing == "convolution":
        return Convolution1x1(channels)
    return Permutation(torch.randperm(channels) if config.mixing == "shuffle" else torch.arange(channels).flip(0))


def _checkerboards_and_channels(config: Config, channels: int, last: bool) -> Chain:
    """RealNVP's couplings of a scale; the last scale has one checkerboard more, and no halves of channels."""
    blocks = list[Block]()
    for step in range(config.steps + last):
        blocks += [*_normalised(config, channels), CheckerboardCoupling(config, channels, step % 2 == 1)]
    if not last:
        channels *= 4
        blocks.append(Squeeze())
        for step in range(config.steps):
            blocks += [*_normalised(config, channels), ChannelCoupling(config, channels, step % 2 == 1)]
    return Chain(blocks)


def _normalised(config: Config, channels: int) -> list[Block]:
    return [ActNorm(channels)] if config.normalise == "actnorm" else []


def network(config: Config, shape: tuple[int, int, int]) -> Flow:
    """The untrained network for images of ``shape``; its weights come from torch's global generator."""
    return Flow(config, shape)


def workload(config: Config, shape: tuple[int, int, int]) -> Workload:
    """What the training computes, without its evaluations."""
    flow = network(config, shape)
    return Workload(config.updates, config.batch_size, lambda n: flow.log_density(torch.full((n, *shape), 0.5)))
