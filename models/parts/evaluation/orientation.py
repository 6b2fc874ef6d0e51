"""What a judge learns where images have no classes: which way up an image is.

Gidaris, Singh and Komodakis 2018, arXiv:1803.07728: to tell by how much an image was turned, a network must know what is
in it. So its features tell images apart as those of a classifier do, though no image has a label.
"""

import torch
from torch import Tensor

SQUARE = ("as it is", "turned by 90°", "turned by 180°", "turned by 270°")
MIRRORED = ((), (3,), (2,), (2, 3))  # the axes of each of these:
OBLONG = ("as it is", "mirrored left to right", "mirrored upside down", "turned by 180°")


def orientations(shape: tuple[int, int, int]) -> tuple[str, ...]:
    """What images of a shape (channels, height, width) are turned into: four orientations that keep the shape."""
    return SQUARE if shape[1] == shape[2] else OBLONG


def turned(images: Tensor, orientation: Tensor) -> Tensor:
    """Images (n, channels, height, width), each in its orientation (n,), the number of one of ``orientations``."""
    is_square = images.shape[2] == images.shape[3]
    result = torch.empty_like(images)
    for number in range(len(SQUARE)):
        chosen = orientation == number
        batch = images[chosen]
        result[chosen] = torch.rot90(batch, number, (2, 3)) if is_square else batch.flip(MIRRORED[number])
    return result
