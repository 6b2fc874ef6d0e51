"""A Gaussian for each class of the data, from which chains may begin: what JEM++ calls an informative start.

    x | y ~ N(μ_y, W_y W_yᵀ + diag ψ_y)

Yang and Ji 2021, arXiv:2109.09032, take the full covariance, 38 MB a class at 3,072 dimensions. Here it has the ``rank``
principal directions of the images of the class, and every pixel has exactly their variance: ψ is what the directions leave of
it, so that a pixel that is always black stays black. At full rank it is the covariance itself.
"""

from typing import NamedTuple

import torch
from torch import Generator, Tensor


class Mixture(NamedTuple):
    """A Gaussian for each of the classes."""

    means: Tensor  # (classes, *shape)
    factors: Tensor  # W: (classes, dimensions, rank)
    deviations: Tensor  # √ψ: (classes, dimensions)


def fit(x: Tensor, labels: Tensor, classes: int, rank: int) -> Mixture:
    """The Gaussians of ``x`` (n, *shape) with ``labels`` (n,), each with at most ``rank`` >= 1 directions.

    A class of m images has at most m − 1. Raises ValueError for a class of fewer than two.
    """
    if rank < 1:
        raise ValueError(f"a mixture of rank {rank} has no directions; take at least 1")
    means, factors, deviations = [], [], []
    for label in range(classes):
        mine = x[labels == label].flatten(1).double()
        if len(mine) < 2:
            raise ValueError(f"class {label} has {len(mine)} images, which have no covariance; give it two at least")
        mean = mine.mean(0)
        w, deviation = _components(mine - mean, rank)
        means.append(mean.view(x.shape[1:]))
        factors.append(torch.nn.functional.pad(w, (0, rank - w.shape[1])))
        deviations.append(deviation)
    return Mixture(
        torch.stack(means).to(x.dtype), torch.stack(factors).to(x.dtype), torch.stack(deviations).to(x.dtype)
    )


def draw(mixture: Mixture, labels: Tensor, bounds: tuple[float, float], generator: Generator) -> Tensor:
    """An image for each of ``labels`` (n,), cut to the bounds: (n, *shape), on the generator's device."""
    n, dimensions, rank = len(labels), *mixture.factors.shape[1:]
    along = torch.randn(n, rank, generator=generator, device=generator.device)
    around = torch.randn(n, dimensions, generator=generator, device=generator.device)
    x = around * mixture.deviations[labels]
    for label in range(len(mixture.means)):  # a factor for each image at once would be gigabytes
        mine = labels == label
        x[mine] += along[mine] @ mixture.factors[label].T
    return (mixture.means[labels] + x.view(n, *mixture.means.shape[1:])).clamp(*bounds)


def _components(centred: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """W (dimensions, at most rank) and √ψ (dimensions,) of rows (n, dimensions) whose mean is 0."""
    n, dimensions = centred.shape
    wide = n < dimensions
    values, vectors = torch.linalg.eigh((centred @ centred.T if wide else centred.T @ centred) / n)
    values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)  # largest first
    rank = min(rank, dimensions, n - 1)
    directions = vectors[:, :rank]
    if wide:  # those of the small matrix, turned into those of the large one
        directions = torch.nn.functional.normalize(centred.T @ directions, dim=0)
    w = directions * values[:rank].sqrt()
    left = centred.square().mean(0) - w.square().sum(1)
    return w, left.clamp_min(0).sqrt()
