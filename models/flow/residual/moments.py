"""Bias and variance of estimators of a log-determinant in closed form, where the Jacobian is known.

With Rademacher vectors v, E[vᵀAv] = tr A and Cov(vᵀAv, vᵀBv) = 2 Σ_{i≠j} Ãᵢⱼ B̃ᵢⱼ, where Ã = (A + Aᵀ)/2 (Hutchinson 1990). An
estimate is a sum of such forms of powers of J with known factors, so its moments follow from those of the powers.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from models.flow.residual.tails import Terms

LEAST_PROBABILITY = 1e-6  # numbers of further terms that are rarer are left out


class Powers(NamedTuple):
    """Of vᵀJᵏv for k = 1 … K and one Rademacher vector, in float64."""

    traces: Tensor  # the means tr Jᵏ, (n, K)
    covariances: Tensor  # (n, K, K)
    log_determinant: Tensor  # log |det(I + J)|, (n,)
    norm: Tensor  # the largest singular value of J, (n,)

    @staticmethod
    def of(jacobians: Tensor, most: int) -> "Powers":
        """Of Jacobians (n, D, D), up to the power ``most``."""
        matrices = jacobians.double()
        size = matrices.shape[-1]
        identity = torch.eye(size, dtype=matrices.dtype, device=matrices.device)
        traces, parts, power = list[Tensor](), list[Tensor](), identity
        for _ in range(most):
            power = power @ matrices
            traces.append(power.diagonal(dim1=-2, dim2=-1).sum(-1))
            parts.append((((power + power.mT) / 2) * (1 - identity)).flatten(-2))
        forms = torch.stack(parts, -2)
        log_determinant = torch.linalg.slogdet(identity + matrices).logabsdet
        norm = torch.linalg.matrix_norm(matrices, 2)
        return Powers(torch.stack(traces, -1), 2 * forms @ forms.mT, log_determinant, norm)


class Moments(NamedTuple):
    """Of an estimate of each image's log-determinant, in nats: (n,) each."""

    bias: Tensor
    variance: Tensor


def summed(parts: Sequence[Moments]) -> Moments:
    """Of the sum of independent estimates, as of the blocks of a flow."""
    biases, variances = zip(*parts, strict=True)
    return Moments(torch.stack(biases).sum(0), torch.stack(variances).sum(0))


def largest_power(terms: Terms) -> int:
    """The highest power of J that a draw of ``terms`` has with a probability of at least ``LEAST_PROBABILITY``."""
    further = 0
    while terms.tail.survival(further + 1) >= LEAST_PROBABILITY:
        further += 1
    return terms.exact + further


def moments(powers: Powers, terms: Terms, probes: int) -> Moments:
    """Of the estimate by ``terms`` and the mean over ``probes`` vectors; ``powers`` has at least largest_power(terms)."""
    mean = torch.zeros_like(powers.log_determinant)
    square, within = mean.clone(), mean.clone()
    for further in range(largest_power(terms) - terms.exact + 1):
        probability = terms.tail.survival(further) - terms.tail.survival(further + 1)
        factors = torch.tensor(terms.factors(further), dtype=mean.dtype, device=mean.device)
        k = torch.arange(1, len(factors) + 1, device=mean.device)
        factors = factors * (2 * (k % 2) - 1) / k
        expectation = powers.traces[:, : len(factors)] @ factors
        covariances = powers.covariances[:, : len(factors), : len(factors)]
        mean = mean + probability * expectation
        square = square + probability * expectation.square()
        within = within + probability * (covariances @ factors) @ factors / probes
    return Moments(mean - powers.log_determinant, within + square - mean.square())
