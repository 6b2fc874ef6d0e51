"""LipSwish: a smooth activation whose slope is at most 1 (Chen et al. 2019, arXiv:1906.02735, section 3.2)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LARGEST_SLOPE = 1.1  # of x·σ(x), rounded up: 1.09984


class LipSwish(nn.Module):
    """x·σ(βx)/1.1 with a learned β > 0. Unlike ReLU it has a second derivative, which gradients of a log-determinant need."""

    def __init__(self) -> None:
        super().__init__()
        self.raw_beta = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(F.softplus(self.raw_beta) * x) / LARGEST_SLOPE
