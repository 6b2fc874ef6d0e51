"""What a flow is made of: invertible maps that say by how much they change volumes.

A block is all that a network, its training and its evaluation know. Its log-determinant may be exact or an estimate without
bias, its inverse a formula or a fixed point.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Generator, Tensor, nn


class Block(nn.Module, ABC):
    """An invertible map of batches (n, channels, height, width). The rows of a batch do not influence each other."""

    @abstractmethod
    def forward(self, x: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        """z, and log |det ∂z/∂x| of each row, (n,). Only blocks that estimate it draw from ``generator``."""

    @abstractmethod
    def inverse(self, z: Tensor) -> Tensor:
        """The x whose image is ``z``."""

    def initialise(self, x: Tensor) -> Tensor:
        """What ``x`` becomes, after the block took from these training images what it begins with, if it takes anything."""
        z: Tensor = self(x)[0]
        return z


class Chain(Block):
    """Blocks one after the other."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        total = torch.zeros(len(x), device=x.device, dtype=x.dtype)
        for block in self.blocks:
            x, log_determinant = block(x, generator)
            total = total + log_determinant
        return x, total

    def inverse(self, z: Tensor) -> Tensor:
        for block in reversed(self.blocks):
            assert isinstance(block, Block)
            z = block.inverse(z)
        return z

    def initialise(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            assert isinstance(block, Block)
            x = block.initialise(x)
        return x
