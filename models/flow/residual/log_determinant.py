"""log |det(I + J)| of the Jacobian J of a vector function g: exact, by a power series, and by the Neumann series for gradients.

Behrmann et al. 2019 (arXiv:1811.00995) cut the power series; Chen et al. 2019 (arXiv:1906.02735) make it unbiased by roulette and
differentiate by the Neumann series. Each function takes g and a batch x (n, …), whose rows g must not mix, and returns g(x) and
a number for each row (n,). Results are differentiable where torch records gradients.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor

LARGEST = 256  # numbers of an image up to which its Jacobian is computed

VectorFunction = Callable[[Tensor], Tensor]


class Evaluated(NamedTuple):
    """g(x), and log |det(I + J)| or an estimate of it for each row, in nats."""

    value: Tensor
    log_determinant: Tensor


def jacobian(g: VectorFunction, x: Tensor) -> tuple[Tensor, Tensor]:
    """g(x) and the Jacobian of each row, (n, D, D): D products with vectors."""
    record = torch.is_grad_enabled()
    with torch.enable_grad():
        x = _variable(x)
        value = g(x)
        size = value[0].numel()
        basis = torch.eye(size, dtype=x.dtype, device=x.device).view(size, 1, *value.shape[1:])
        (rows,) = torch.autograd.grad(
            value, x, basis.expand(size, *value.shape), create_graph=record, is_grads_batched=True
        )
    matrices = rows.flatten(2).transpose(0, 1)
    return (value, matrices) if record else (value.detach(), matrices.detach())


def exact(g: VectorFunction, x: Tensor) -> Evaluated:
    """The log-determinant itself, for rows of at most ``LARGEST`` numbers: the reference of all estimators. Raises ValueError."""
    if (size := x[0].numel()) > LARGEST:
        raise ValueError(
            f"a log-determinant is computed exactly for at most {LARGEST} numbers, and an image has {size}; take an estimator"
        )
    value, matrices = jacobian(g, x)
    identity = torch.eye(size, dtype=x.dtype, device=x.device)
    return Evaluated(value, torch.linalg.slogdet(identity + matrices).logabsdet)


def series(g: VectorFunction, x: Tensor, factors: Sequence[float], probes: Sequence[Tensor]) -> Evaluated:
    """Σₖ factorₖ (−1)ᵏ⁺¹/k · vᵀJᵏv, k = 1 …, the mean over the vectors v of ``probes``, each of the shape of x.

    E[vᵀJᵏv] = tr Jᵏ (Hutchinson 1990). With all factors 1 it is the series cut after so many terms, which is biased. Its
    gradient is that of every product, so memory grows with their number.
    """
    record = torch.is_grad_enabled()
    with torch.enable_grad():
        x = _variable(x)
        value = g(x)
        total = torch.zeros(len(x), dtype=x.dtype, device=x.device)
        for probe in probes:
            product = probe
            for k, factor in enumerate(factors, 1):
                product = _product(value, x, product, record)
                total = total + factor * _sign(k) / k * _inner(product, probe)
    total = total / len(probes)
    return Evaluated(value, total) if record else Evaluated(value.detach(), total.detach())


def neumann(g: VectorFunction, x: Tensor, factors: Sequence[float], probes: Sequence[Tensor]) -> Evaluated:
    """The same number as ``series``, with another gradient: Σₖ factorₖ (−1)ᵏ vᵀJᵏ · dJ · v, k = 0 …, with factor₀ = 1.

    Only the last product is recorded, so memory does not grow with the number of terms. Chen et al. 2019, equation 8, whose
    number vᵀΣ(−J)ᵏJv has the right gradient and is no log-determinant; it counts 0 here.
    """
    with torch.enable_grad():
        x = _variable(x)
        value = g(x)
        total = torch.zeros(len(x), dtype=x.dtype, device=x.device)
        for probe in probes:
            product = left = probe
            for k, factor in enumerate(factors, 1):
                product = _product(value, x, product, False)
                total = total + factor * _sign(k) / k * _inner(product, probe)
                left = left - factor * _sign(k) * product
            last = _inner(_product(value, x, left, True), probe)
            total = total + last - last.detach()
    return Evaluated(value, total / len(probes))


def rademacher(x: Tensor, n: int, generator: Generator) -> list[Tensor]:
    """``n`` vectors of the shape of x, with elements −1 and 1: of independent elements, those with the least variance of vᵀJv."""
    signs = torch.randint(0, 2, (n, *x.shape), generator=generator, device=generator.device)
    return list((2 * signs - 1).to(x))


def _variable(x: Tensor) -> Tensor:
    return x if x.requires_grad else x.detach().requires_grad_()


def _sign(k: int) -> float:
    """Of term k of log(1 + t): +, −, +, …"""
    return 1.0 if k % 2 else -1.0


def _product(value: Tensor, x: Tensor, vector: Tensor, record: bool) -> Tensor:
    """vectorᵀJ of each row."""
    (product,) = torch.autograd.grad(value, x, vector, create_graph=record, retain_graph=True)
    return product


def _inner(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)
