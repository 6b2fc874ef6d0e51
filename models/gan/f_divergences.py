"""f-divergences that a critic bounds from below: D_f(p‖q) = E_q f(p/q) ≥ E_p T − E_q f*(T), where T = g(V), V any function.

Nowozin, Cseke and Tomioka 2016, arXiv:1606.00709, tables 1 to 3: f is convex with f(1) = 0, f* its conjugate, g the
activation that keeps T where f* is finite. The bound is equal where T = f'(p/q).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Function = Callable[[Tensor], Tensor]  # of each number on its own


@dataclass(frozen=True)
class Divergence:
    """One f-divergence."""

    f: Function  # of ratios p/q > 0
    slope: Function  # f'
    activation: Function  # g: a critic's values to T
    conjugate: Function  # f*(g(V)): a critic's values to what the bound takes off for generated images

    def bound(self, real: Tensor, generated: Tensor) -> Tensor:
        """The lower bound, by a critic's values (n,) of samples of p and (m,) of samples of q."""
        return self.activation(real).mean() - self.conjugate(generated).mean()

    def exact(self, p: Tensor, q: Tensor, width: float) -> Tensor:
        """The divergence of two densities (n,), both positive on a grid of cells of ``width``, by the midpoint rule."""
        return (q * self.f(p / q)).sum() * width


DIVERGENCES: Mapping[str, Divergence] = {
    "kl": Divergence(
        f=lambda u: u * u.log(),
        slope=lambda u: 1 + u.log(),
        activation=lambda v: v,
        conjugate=lambda v: (v - 1).exp(),
    ),
    "reverse_kl": Divergence(
        f=lambda u: -u.log(),
        slope=lambda u: -1 / u,
        activation=lambda v: -(-v).exp(),
        conjugate=lambda v: v - 1,
    ),
    # Twice the Jensen-Shannon divergence: at most log 4
    "jensen_shannon": Divergence(
        f=lambda u: u * u.log() - (u + 1) * ((u + 1) / 2).log(),
        slope=lambda u: (2 * u / (u + 1)).log(),
        activation=lambda v: math.log(2) - F.softplus(-v),
        conjugate=lambda v: F.softplus(v) - math.log(2),
    ),
    "pearson": Divergence(
        f=lambda u: (u - 1).square(),
        slope=lambda u: 2 * (u - 1),
        activation=lambda v: v,
        conjugate=lambda v: v.square() / 4 + v,
    ),
    # The square of the distance: at most 2
    "hellinger": Divergence(
        f=lambda u: (u.sqrt() - 1).square(),
        slope=lambda u: 1 - u.rsqrt(),
        activation=lambda v: -torch.expm1(-v),
        conjugate=torch.expm1,
    ),
}
