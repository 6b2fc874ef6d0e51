"""Pictures that several families draw: grids of images that are read row by row, and points in the plane."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.events import Images

RECONSTRUCTED = 32  # images in a grid, and as many reconstructions


def pairs(step: int, key: str, upper: Tensor, lower: Tensor, columns: int = 8) -> Images:
    """Rows of ``upper`` (n, channels, height, width), each above the row of ``lower`` that belongs to it.

    Fewer than a row are a shorter row; otherwise images that do not fill the last row are left out.
    """
    shape, columns = upper.shape[1:], min(columns, len(upper))
    n = len(upper) // columns * columns
    rows = torch.stack([upper[:n], lower[:n]]).reshape(2, -1, columns, *shape).transpose(0, 1)
    return Images(step, key, rows.reshape(-1, *shape), columns)


def reconstructions(images: Tensor, reconstructed: Tensor, step: int) -> Images:
    """The first originals in the upper row, what is given back of them in the row below."""
    return pairs(step, "reconstructions", images[:RECONSTRUCTED], reconstructed[:RECONSTRUCTED])


def plane(points: NDArray[np.floating], seed: int) -> Tensor:
    """Points (n, dimensions) in two dimensions by t-SNE, (n, 2): van der Maaten and Hinton 2008."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(points) - 1) / 3)
    return torch.from_numpy(TSNE(2, perplexity=perplexity, init="random", random_state=seed).fit_transform(points))
