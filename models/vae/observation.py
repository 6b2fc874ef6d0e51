"""What a decoder says of pixels: the probability of stored grey levels, and the mean image.

All log probabilities are in nats of a whole image: averaged over pixels they would set β without saying so.
"""

import math
from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.parts.evaluation import likelihood
from models.vae.config import Likelihood


class Observation(Protocol):
    """A distribution of images given the decoder's (n, channels × parameters_per_pixel, height, width) numbers."""

    parameters_per_pixel: int

    def mean(self, parameters: Tensor) -> Tensor:
        """Images (n, channels, height, width) in [-1, 1]."""

    def log_probability(self, parameters: Tensor, ranks: Tensor, levels: int, cell: Tensor) -> Tensor:
        """Of images of level numbers ``ranks`` (n, channels, height, width) out of ``levels``: (n,), at most 0 but for noise.

        ``cell`` of the same shape in [0, 1): the place within the cell of its level, for those that are densities.
        """


class Logistic(nn.Module):
    """A discretised logistic for each pixel, with a mean and a scale: Salimans et al. 2017, arXiv:1701.05517."""

    parameters_per_pixel = 2

    def __init__(self, channels: int) -> None:
        super().__init__()

    def mean(self, parameters: Tensor) -> Tensor:
        return parameters.chunk(2, 1)[0].clamp(-1, 1)

    def log_probability(self, parameters: Tensor, ranks: Tensor, levels: int, cell: Tensor) -> Tensor:
        mean, log_scale = parameters.chunk(2, 1)
        return likelihood.discretised_logistic(ranks, mean, log_scale - 2, levels).flatten(1).sum(1)


class Bernoulli(nn.Module):
    """A probability of white for each pixel of images of two levels."""

    parameters_per_pixel = 1

    def __init__(self, channels: int) -> None:
        super().__init__()

    def mean(self, parameters: Tensor) -> Tensor:
        return 2 * parameters.sigmoid() - 1

    def log_probability(self, parameters: Tensor, ranks: Tensor, levels: int, cell: Tensor) -> Tensor:
        losses = F.binary_cross_entropy_with_logits(parameters, ranks.to(parameters.dtype), reduction="none")
        return -losses.flatten(1).sum(1)


class Normal(nn.Module):
    """A Gaussian around each pixel with one learned deviation for all: Rybkin et al. 2021, arXiv:2006.13202.

    A density: each level is moved uniformly within its cell first, so that its log probability is a lower bound.
    """

    parameters_per_pixel = 1

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_deviation = nn.Parameter(torch.tensor(-1.0))

    def mean(self, parameters: Tensor) -> Tensor:
        return parameters.clamp(-1, 1)

    def log_probability(self, parameters: Tensor, ranks: Tensor, levels: int, cell: Tensor) -> Tensor:
        log_deviation = self.log_deviation.clamp_min(likelihood.SMALLEST_LOG_SCALE)
        x = 2 * (ranks + cell) / levels - 1
        squares = ((x - parameters) / log_deviation.exp()).square()
        log_density = -0.5 * (squares + math.log(2 * math.pi)) - log_deviation
        return (log_density + math.log(2 / levels)).flatten(1).sum(1)


OBSERVATIONS: dict[Likelihood, Callable[[int], "Logistic | Bernoulli | Normal"]] = {
    "logistic": Logistic,
    "bernoulli": Bernoulli,
    "gaussian": Normal,
}
