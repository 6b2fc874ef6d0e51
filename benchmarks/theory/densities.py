"""Densities on the line that are known exactly: mixtures of Gaussians, and what they are on a grid."""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

WIDTH = 1e-3  # of a cell of the grid
GRID = torch.arange(-12, 12, WIDTH, dtype=torch.float64)


@dataclass(frozen=True)
class Mixture:
    """A mixture of Gaussians: a weight, a mean and a standard deviation each."""

    parts: tuple[tuple[float, float, float], ...]

    def density(self, x: Tensor) -> Tensor:
        """At x, of any shape."""
        scale = math.sqrt(2 * math.pi)
        return torch.stack([w * (-((x - m) ** 2) / (2 * s * s)).exp() / (s * scale) for w, m, s in self.parts]).sum(0)

    def sample(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Independent samples."""
        weights, means, deviations = (torch.tensor(values) for values in zip(*self.parts, strict=True))
        n = math.prod(shape)
        part = torch.multinomial(weights, n, replacement=True, generator=generator)
        return (means[part] + deviations[part] * torch.randn(n, generator=generator)).view(shape)


# Two modes against one: the ratio is between 0.0002 and 3 where there are samples, and every divergence is finite.
REAL = Mixture(((0.5, -1.5, 0.5), (0.5, 1.5, 0.8)))
GENERATED = Mixture(((1.0, 0.3, 1.6),))
