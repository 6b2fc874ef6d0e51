"""Images, varied as networks are trained on them."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from models.parts.settings import Augmentation
from samplers.kernel import standard_normal


def vary(images: Tensor, kind: Augmentation, generator: Generator) -> Tensor:
    """Each of (n, channels, height, width) moved by up to an eighth of its size, what is missing mirrored; flipped or not.

    That is the customary crop of 32×32 pixels out of 40×40.
    """
    if kind == "none":
        return images
    n, _, height, width = images.shape
    reach = max(1, min(height, width) // 8)
    down, right, flip = (
        torch.randint(most, (n,), generator=generator, device=images.device)
        for most in (2 * reach + 1, 2 * reach + 1, 2)
    )
    moved = move(images, down, right, reach, "reflect")
    return torch.where(flip.view(-1, 1, 1, 1) == 1, moved.flip(3), moved) if kind == "shift_flip" else moved


def noisy(images: Tensor, deviation: float, generator: Generator) -> Tensor:
    """Gaussian noise of ``deviation`` upon every pixel, not cut: an image may leave its range."""
    return images + deviation * standard_normal(images, generator) if deviation else images


def move(images: Tensor, down: Tensor, right: Tensor, reach: int, missing: Literal["reflect", "replicate"]) -> Tensor:
    """Each of n images moved by its ``down`` and ``right`` (n,), which go from 0 to 2·reach: at ``reach`` it stays.

    What is missing at a border is mirrored or repeated.
    """
    n, _, height, width = images.shape
    padded = F.pad(images, (reach,) * 4, mode=missing)
    return padded.unfold(2, height, 1).unfold(3, width, 1)[torch.arange(n, device=images.device), :, down, right]


def deform(images: Tensor, reach: float, generator: Generator) -> Tensor:
    """Each of (n, channels, height, width) turned, sheared, scaled and moved by an affine map of its own.

    Each of the map's six numbers is drawn within ``reach`` of the identity's, in coordinates that go from −1 to 1 over an image;
    what comes in from outside is as the border.
    """
    n = len(images)
    offsets = torch.rand(n, 2, 3, generator=generator, device=images.device) * 2 - 1
    maps = torch.eye(2, 3, device=images.device) + reach * offsets
    places = F.affine_grid(maps, list(images.shape), align_corners=False)
    return F.grid_sample(images, places, padding_mode="border", align_corners=False)
