"""Blocks at the edge of a flow: what pixels become before anything is learned, and space that turns into channels."""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from models.flow.block import Block


class Centre(Block):
    """x − ½, of pixels in [0, 1)."""

    def forward(self, x: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        return x - 0.5, torch.zeros(len(x), device=x.device, dtype=x.dtype)

    def inverse(self, z: Tensor) -> Tensor:
        return z + 0.5


class Logit(Block):
    """log p − log (1 − p) of p = α + (1 − 2α) x, for pixels x in [0, 1): Dinh et al. 2017, arXiv:1605.08803, section 4.1.

    Black and white, which many pixels share, become wide tails instead of narrow spikes. Of an inverse, x outside [0, 1]
    says that ``z`` is no image.
    """

    def __init__(self, alpha: float) -> None:
        """0 < ``alpha`` < ½."""
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        p = self.alpha + (1 - 2 * self.alpha) * x
        z = p.log() - torch.log1p(-p)
        # log dz/dx = log (1 − 2α) − log p − log (1 − p)
        change = math.log(1 - 2 * self.alpha) + F.softplus(z) + F.softplus(-z)
        return z, change.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        return (z.sigmoid() - self.alpha) / (1 - 2 * self.alpha)


class Squeeze(Block):
    """(channels, height, width) -> (4 channels, height/2, width/2): each 2×2 of pixels becomes channels."""

    def forward(self, x: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        return F.pixel_unshuffle(x, 2), torch.zeros(len(x), device=x.device, dtype=x.dtype)

    def inverse(self, z: Tensor) -> Tensor:
        return F.pixel_shuffle(z, 2)
