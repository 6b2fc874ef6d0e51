"""Real images, varied as classifiers are trained on them."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

Augmentation = Literal["none", "shift", "shift_flip"]


def vary(images: Tensor, kind: Augmentation, generator: Generator) -> Tensor:
    """Each of (n, channels, height, width) moved by up to an eighth of its size, what is missing mirrored; flipped or not.

    That is the customary crop of 32×32 pixels out of 40×40.
    """
    if kind == "none":
        return images
    n, _, height, width = images.shape
    reach = max(1, min(height, width) // 8)
    padded = F.pad(images, (reach,) * 4, mode="reflect")
    down, right, flip = (
        torch.randint(most, (n,), generator=generator, device=images.device)
        for most in (2 * reach + 1, 2 * reach + 1, 2)
    )
    moved = padded.unfold(2, height, 1).unfold(3, width, 1)[torch.arange(n, device=images.device), :, down, right]
    return torch.where(flip.view(-1, 1, 1, 1) == 1, moved.flip(3), moved) if kind == "shift_flip" else moved
