"""Coupling layers: one part of an image stays, and says to a network how the other is scaled and shifted.

Dinh et al. 2017, arXiv:1605.08803 (RealNVP): checkerboards and halves of channels. Kingma and Dhariwal 2018,
arXiv:1807.03039 (GLOW): halves of channels after a mixture of them.
"""

from abc import abstractmethod
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from models.flow.block import Block
from models.flow.config import Config

SIGMOID_SHIFT = 2.0  # GLOW's: a scale begins at σ(2) = 0.88
GAIN = 3.0  # of the gain's exponent, GLOW's


def log_scale_of(config: Config) -> Callable[[Tensor], Tensor]:
    """What the settings make of a network's output: a log scale without bound, below 0, or bounded both ways.

    Scales that can only shrink leave the narrow peaks of backgrounds to other layers; scales without a bound overflow.
    """
    if config.scale == "exp":
        return lambda raw: raw
    if config.scale == "sigmoid":
        return lambda raw: F.logsigmoid(raw + SIGMOID_SHIFT)
    return lambda raw: config.bound * torch.tanh(raw / config.bound)


class ZeroConvolution(nn.Module):
    """A 3×3 convolution whose output begins at 0, with a gain for each channel, so a coupling begins simple."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        nn.init.zeros_(self.convolution.weight)
        assert self.convolution.bias is not None
        nn.init.zeros_(self.convolution.bias)
        self.gain = nn.Parameter(torch.zeros(channels_out, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.convolution(x) * (GAIN * self.gain).exp()
        return y


def conditioner(config: Config, channels_in: int, channels_out: int) -> nn.Sequential:
    """The network of a coupling: any function will do, for it is never inverted."""
    layers: list[nn.Module] = [nn.Conv2d(channels_in, config.width, 3, padding=1), nn.ReLU()]
    for _ in range(config.depth):
        layers += [nn.Conv2d(config.width, config.width, 1), nn.ReLU()]
    return nn.Sequential(*layers, ZeroConvolution(config.width, channels_out))


class Coupling(Block):
    """x · exp(s) + t of one part (affine), or x + t (additive); s and t are a function of the other part."""

    def __init__(self, config: Config, conditioning: int, transformed: int) -> None:
        """So many channels condition, and so many are transformed."""
        super().__init__()
        self.affine = config.coupling == "affine"
        self.log_scale = log_scale_of(config)
        self.conditioner = conditioner(config, conditioning, transformed * (2 if self.affine else 1))

    def parameters_by(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        """(s, t), each of the shape of what is transformed."""
        output = self.conditioner(condition)
        if not self.affine:
            return torch.zeros_like(output), output
        raw, shift = output.chunk(2, 1)
        return self.log_scale(raw), shift

    @abstractmethod
    def forward(self, x: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]: ...


class ChannelCoupling(Coupling):
    """Half of the channels condition the other half; ``swapped`` says which."""

    def __init__(self, config: Config, channels: int, swapped: bool = False) -> None:
        """``channels`` is even."""
        super().__init__(config, channels // 2, channels // 2)
        self.swapped = swapped

    def _halves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second = x.chunk(2, 1)
        return (second, first) if self.swapped else (first, second)

    def _whole(self, condition: Tensor, other: Tensor) -> Tensor:
        return torch.cat([other, condition] if self.swapped else [condition, other], 1)

    def forward(self, x: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        condition, other = self._halves(x)
        log_scale, shift = self.parameters_by(condition)
        return self._whole(condition, other * log_scale.exp() + shift), log_scale.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        condition, other = self._halves(z)
        log_scale, shift = self.parameters_by(condition)
        return self._whole(condition, (other - shift) * (-log_scale).exp())


class CheckerboardCoupling(Coupling):
    """The fields of one colour of a checkerboard condition those of the other; ``swapped`` says which."""

    def __init__(self, config: Config, channels: int, swapped: bool = False) -> None:
        super().__init__(config, channels, channels)
        self.swapped = swapped

    def _mask(self, x: Tensor) -> Tensor:
        """1 where x conditions and stays, (height, width)."""
        rows, columns = (torch.arange(side, device=x.device) for side in x.shape[2:])
        return ((rows[:, None] + columns + int(self.swapped)) % 2).to(x.dtype)

    def _masked_parameters(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mask = self._mask(x)
        log_scale, shift = self.parameters_by(mask * x)
        return (1 - mask) * log_scale, (1 - mask) * shift

    def forward(self, x: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        log_scale, shift = self._masked_parameters(x)
        return x * log_scale.exp() + shift, log_scale.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        log_scale, shift = self._masked_parameters(z)
        return (z - shift) * (-log_scale).exp()
