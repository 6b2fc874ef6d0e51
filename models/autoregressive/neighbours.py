"""The causal neighbours of a pixel: what lies above it, or in its row to its left."""

import torch
from torch import Tensor

from models.autoregressive.config import Neighbours

# Number -> pixels to the left, and pixels to either side in each row above, the nearest row first.
FOOTPRINTS: dict[int, tuple[int, tuple[tuple[int, int], ...]]] = {
    3: (1, ((-1, 0),)),
    8: (2, ((-2, 2), (0, 0))),
    15: (3, ((-3, 3), (-2, 2))),
    24: (3, ((-3, 3), (-3, 3), (-3, 3))),
}
REACH = 3  # rows above and columns to either side that the largest set has


def offsets(neighbours: Neighbours) -> list[tuple[int, int]]:
    """(rows down, columns right) of each parent from its child, from the farthest row, left to right."""
    left, rows = FOOTPRINTS[neighbours]
    above = [
        (-distance, column)
        for distance, (first, last) in reversed(list(enumerate(rows, 1)))
        for column in range(first, last + 1)
    ]
    return above + [(0, -column) for column in range(left, 0, -1)]


def picture(neighbours: Neighbours) -> Tensor:
    """The set as an image (1, 1, 4, 7) in [-1, 1]: the pixel itself white, its parents grey."""
    image = torch.full((1, 1, REACH + 1, 2 * REACH + 1), -1.0)
    for down, right in offsets(neighbours):
        image[0, 0, REACH + down, REACH + right] = 0.0
    image[0, 0, REACH, REACH] = 1.0
    return image
