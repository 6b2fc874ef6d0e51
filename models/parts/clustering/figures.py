"""Clusters of figures: images are brought to one place, slant and size by their moments, and grouped by KMeans.

No label is used. It suits images that show one thing on a dark ground.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Normalisation = Literal["none", "centre", "moments"]

COMPONENTS = 30  # principal components that are kept
FITTED = 10_000  # training images that centres are found with, at most
STARTS = 3  # of KMeans; the one of least inertia is kept
SPREAD = 0.42  # standard deviation of a figure's brightness along either axis, as a share of half the image


def normalised(images: Tensor, kind: Normalisation = "moments") -> Tensor:
    """Images uint8 (n, channels, height, width) as float32 (n, 1, height, width) in [0, 1], moved by their moments.

    centre: the centre of mass is in the middle. moments: besides, the slant is removed and the spread is the same for all, as
    the moments of first and second order say. An image without brightness stays as it is.
    """
    grey = images.float().mean(1, keepdim=True) / 255
    if kind == "none":
        return grey
    n, _, height, width = grey.shape
    y, x = torch.meshgrid(_places(height), _places(width), indexing="ij")
    mass = grey[:, 0].sum((1, 2))
    share = grey[:, 0] / mass.clamp(min=1e-6)[:, None, None]

    def mean(of: Tensor) -> Tensor:
        return (share * of).sum((1, 2))

    centre_x, centre_y = mean(x), mean(y)
    maps = torch.zeros(n, 2, 3)
    maps[:, 0, 0] = maps[:, 1, 1] = 1
    maps[:, 0, 2], maps[:, 1, 2] = centre_x, centre_y
    if kind == "moments":
        from_x, from_y = x - centre_x[:, None, None], y - centre_y[:, None, None]
        of_y = mean(from_y**2).clamp(min=1e-4)
        slant = (mean(from_x * from_y) / of_y).clamp(-1, 1)
        of_x = mean((from_x - slant[:, None, None] * from_y) ** 2)
        size = ((of_x + of_y) / 2).sqrt().clamp(min=0.05) / SPREAD
        maps[:, 0, 0] = maps[:, 1, 1] = size
        maps[:, 0, 1] = size * slant
    maps = torch.where((mass > 0)[:, None, None], maps, torch.eye(2, 3))
    return F.grid_sample(grey, F.affine_grid(maps, list(grey.shape), align_corners=False), align_corners=False)


def features(
    splits: Sequence[Tensor], kind: Normalisation = "moments"
) -> list[np.ndarray[tuple[int, int], np.dtype[np.float32]]]:
    """Principal components (n, COMPONENTS) of each split's images, 2×2 pixels averaged; the first split's are the axes."""
    from sklearn.decomposition import PCA

    flat = [F.avg_pool2d(normalised(images, kind), 2, ceil_mode=True).flatten(1).numpy() for images in splits]
    fitted = flat[0][:FITTED]
    axes = PCA(min(COMPONENTS, *fitted.shape), svd_solver="full").fit(fitted)
    return [axes.transform(values).astype(np.float32) for values in flat]


def figure_clusters(splits: Sequence[Tensor], k: int, kind: Normalisation = "moments") -> list[Tensor]:
    """The cluster (n,) of each image of each split, uint8 (n, channels, height, width); centres are the first split's."""
    from sklearn.cluster import KMeans

    points = features(splits, kind)
    model = KMeans(k, n_init=STARTS, random_state=0).fit(points[0][:FITTED])
    return [torch.from_numpy(model.predict(values).astype(np.int64)) for values in points]


def _places(side: int) -> Tensor:
    """Of the middles of pixels, from −1 to 1 over the side."""
    return (torch.arange(side) * 2 + 1) / side - 1
