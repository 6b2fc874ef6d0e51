"""Distributions with known moments, and how far chains are from them in standard errors."""

import math

import torch
from torch import Tensor

COVARIANCE = torch.tensor([[1.0, 0.6], [0.6, 0.5]])  # eigenvalues 1.40 and 0.10: a condition number of 14
MEAN = torch.tensor([0.5, -1.0])
WEIGHTS = (0.75, 0.25)
CENTRES = (-4.0, 4.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussian(x: Tensor) -> Tensor:
    """(x − MEAN)ᵀ COVARIANCE⁻¹ (x − MEAN) / 2."""
    offset = x - MEAN.to(x)
    return ((offset @ torch.linalg.inv(COVARIANCE.to(x))) * offset).sum(1) / 2


def draw_gaussian(n: int, seed: int = 99) -> Tensor:
    """Independent draws of what ``gaussian`` is the energy of."""
    return MEAN + torch.randn(n, 2, generator=generator(seed)) @ torch.linalg.cholesky(COVARIANCE).T


def mixture(x: Tensor) -> Tensor:
    """Normals of variance 1 at CENTRES with WEIGHTS in one dimension; normalised, so log Z = 0."""
    logs = [math.log(w) - (x - c).square().sum(1) / 2 for w, c in zip(WEIGHTS, CENTRES, strict=True)]
    return 0.5 * math.log(2 * math.pi) - torch.stack(logs).logsumexp(0)


def assert_gaussian(x: Tensor, mean: Tensor, covariance: Tensor, errors: float = 4.0) -> None:
    """Rows of ``x``, independent, have these moments within so many standard errors, element by element.

    Of n normal rows the mean has the variance Σ_ii / n, the covariance (Σ_ii Σ_jj + Σ_ij²) / n.
    """
    n, variances = len(x), covariance.diagonal()
    assert ((x.mean(0) - mean).abs() < errors * (variances / n).sqrt()).all(), (x.mean(0), mean)
    spread = ((variances[:, None] * variances + covariance**2) / n).sqrt()
    assert ((x.T.cov().view_as(covariance) - covariance).abs() < errors * spread).all(), (x.T.cov(), covariance)
