"""The priors of a flow: at each scale half of the channels leave, as noise given the others; the last maps are the top.

All latent noise is standard normal: what a prior learns is a scale and a shift, and counts in the log-determinant. So noise of
all scales has one unit, and a temperature or an edit means the same everywhere. Kingma and Dhariwal 2018, arXiv:1807.03039.
"""

import math

import torch
from torch import Tensor, nn

from models.flow.couplings import ZeroConvolution

LARGEST_LOG_SCALE = 3.0


def _bounded(raw: Tensor) -> Tensor:
    return LARGEST_LOG_SCALE * torch.tanh(raw / LARGEST_LOG_SCALE)


def standard_log_density(noise: Tensor) -> Tensor:
    """Of noise (n, …) under N(0, I): (n,)."""
    flat = noise.flatten(1)
    return -(flat.square().sum(1) + flat.shape[1] * math.log(2 * math.pi)) / 2


class Split(nn.Module):
    """Half of the channels leave, as noise: their mean and deviation are functions of those that stay."""

    def __init__(self, channels: int) -> None:
        """``channels`` is even."""
        super().__init__()
        self.prior = ZeroConvolution(channels // 2, channels)

    def _of(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        raw, mean = self.prior(kept).chunk(2, 1)
        return _bounded(raw), mean

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What stays, the noise, and the log-determinant (n,)."""
        kept, leaving = x.chunk(2, 1)
        log_scale, mean = self._of(kept)
        return kept, (leaving - mean) * (-log_scale).exp(), -log_scale.flatten(1).sum(1)

    def inverse(self, kept: Tensor, noise: Tensor) -> Tensor:
        log_scale, mean = self._of(kept)
        return torch.cat([kept, mean + noise * log_scale.exp()], 1)


class Top(nn.Module):
    """The last maps as noise: each number has a mean and a deviation, of each class where there are classes."""

    def __init__(self, shape: tuple[int, int, int], classes: int = 0) -> None:
        """``classes``: 0 for a prior that knows none."""
        super().__init__()
        self.classes = classes
        self.log_scale = nn.Parameter(torch.zeros(max(1, classes), *shape))
        self.mean = nn.Parameter(torch.zeros(max(1, classes), *shape))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The noise of maps (n, …) of ``labels`` (n,), and the log-determinant (n,)."""
        log_scale, mean = self._of(labels)
        return (x - mean) * (-log_scale).exp(), -log_scale.flatten(1).sum(1).expand(len(x))

    def inverse(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        log_scale, mean = self._of(labels)
        return mean + noise * log_scale.exp()

    def log_densities(self, x: Tensor) -> Tensor:
        """log p of maps (n, …) given each class: (n, classes), or (n, 1) where there are none."""
        columns = []
        for label in range(len(self.mean)):
            noise, log_determinant = self(x, torch.full((len(x),), label, device=x.device))
            columns.append(standard_log_density(noise) + log_determinant)
        return torch.stack(columns, 1)

    def _of(self, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Log scale and mean: (n, …), or (1, …) where there are no classes."""
        if not self.classes:
            return _bounded(self.log_scale), self.mean
        assert labels is not None, "a prior of classes is asked without labels"
        return _bounded(self.log_scale)[labels], self.mean[labels]
