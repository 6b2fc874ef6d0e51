"""Random batches of training images."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from models.data.dataset import Split, floats


@dataclass(frozen=True, eq=False)
class Batches:
    """Batches of a split, drawn with replacement by ``generator`` and on its device."""

    images: Tensor  # uint8 (n, channels, height, width)
    labels: Tensor  # int64 (n,)
    size: int
    generator: Generator

    @staticmethod
    def of(split: Split, size: int, generator: Generator) -> "Batches":
        """Batches of ``split``, which is copied to the device of ``generator``."""
        return Batches(split.images.to(generator.device), split.labels.to(generator.device), size, generator)

    def draw(self) -> tuple[Tensor, Tensor]:
        """Images (size, channels, height, width) in [-1, 1] and their labels (size,)."""
        device = self.images.device
        indices = torch.randint(len(self.images), (self.size,), generator=self.generator, device=device)
        return floats(self.images[indices]), self.labels[indices]

    def epochs(self, n: int) -> float:
        """How often ``n`` batches go through all images."""
        return n * self.size / len(self.images)
