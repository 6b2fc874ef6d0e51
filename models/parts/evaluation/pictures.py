"""Grids of images that are read row by row."""

import torch
from torch import Tensor

from models.events import Images


def pairs(step: int, key: str, upper: Tensor, lower: Tensor, columns: int = 8) -> Images:
    """Rows of ``upper`` (n, channels, height, width), each above the row of ``lower`` that belongs to it; n fills rows."""
    shape = upper.shape[1:]
    rows = torch.stack([upper, lower]).reshape(2, -1, columns, *shape).transpose(0, 1)
    return Images(step, key, rows.reshape(-1, *shape), columns)
