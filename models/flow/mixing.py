"""Blocks that are linear in the channels: a scale and a shift that start from data, and orders or mixtures of channels.

Kingma and Dhariwal 2018, arXiv:1807.03039, sections 3.1 and 3.2.
"""

import torch
from torch import Generator, Tensor, nn

from models.flow.block import Block

SMALLEST_DEVIATION = 1e-4  # of a channel, so that a constant one starts with a scale that is finite


class ActNorm(Block):
    """(x + shift) · exp(log_scale), a number each for each channel.

    ``initialise`` makes channels of the given images have mean 0 and variance 1, once: that it was done is part of the state,
    so neither a resumed training nor a network that only draws does it again. Nothing depends on a batch afterwards.
    """

    initialised: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels, 1, 1))
        self.log_scale = nn.Parameter(torch.zeros(channels, 1, 1))
        self.register_buffer("initialised", torch.tensor(False))

    def forward(self, x: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        places = x.shape[2] * x.shape[3]
        return (x + self.shift) * self.log_scale.exp(), (places * self.log_scale.sum()).expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        return z * (-self.log_scale).exp() - self.shift

    @torch.no_grad()
    def initialise(self, x: Tensor) -> Tensor:
        if not self.initialised:
            mean = x.mean((0, 2, 3), keepdim=True)[0]
            deviation = (x - mean).square().mean((0, 2, 3), keepdim=True)[0].sqrt()
            self.shift.copy_(-mean)
            self.log_scale.copy_(-deviation.clamp_min(SMALLEST_DEVIATION).log())
            self.initialised.fill_(True)
        return super().initialise(x)


class Permutation(Block):
    """Channels in another order."""

    order: Tensor

    def __init__(self, order: Tensor) -> None:
        """``order`` (channels,): where each channel of z comes from."""
        super().__init__()
        self.register_buffer("order", order)

    def forward(self, x: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        return x[:, self.order], torch.zeros(len(x), device=x.device, dtype=x.dtype)

    def inverse(self, z: Tensor) -> Tensor:
        return z[:, self.order.argsort()]


class Convolution1x1(Block):
    """W x with the same square matrix at each place, as a product W = P L U: its log-determinant is a sum.

    It begins as a random rotation, drawn from torch's global generator. P and the signs of U's diagonal stay.
    """

    permutation: Tensor
    signs: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        rotation, _ = torch.linalg.qr(torch.randn(channels, channels, dtype=torch.float64))
        permutation, lower, upper = torch.linalg.lu(rotation)
        self.register_buffer("permutation", permutation.float())
        self.register_buffer("signs", upper.diagonal().sign().float())
        self.lower = nn.Parameter(lower.float())  # below the diagonal; there it is 1
        self.upper = nn.Parameter(upper.float())  # above the diagonal
        self.log_diagonal = nn.Parameter(upper.diagonal().abs().log().float())

    def _factors(self) -> tuple[Tensor, Tensor]:
        lower = self.lower.tril(-1) + torch.eye(len(self.lower), device=self.lower.device, dtype=self.lower.dtype)
        return lower, self.upper.triu(1) + torch.diag(self.signs * self.log_diagonal.exp())

    def forward(self, x: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        lower, upper = self._factors()
        places = x.shape[2] * x.shape[3]
        z = _everywhere(self.permutation @ lower @ upper, x)
        return z, (places * self.log_diagonal.sum()).expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        lower, upper = self._factors()
        within = torch.linalg.solve_triangular(lower, self.permutation.T, upper=False, unitriangular=True)
        return _everywhere(torch.linalg.solve_triangular(upper, within, upper=True), z)


def _everywhere(matrix: Tensor, x: Tensor) -> Tensor:
    """The matrix times the channels of each place."""
    return torch.conv2d(x, matrix[..., None, None])
