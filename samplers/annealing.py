"""Annealed importance sampling: log Z = log ∫ exp(−E/T) dx, estimated from below and from above.

Along the path f_β = exp(−(1 − β) E₀ − β E/T) from a base exp(−E₀) of Z = 1 to the target, each chain gathers the weight

    log w = Σ_k (β_k − β_{k−1}) (E₀(x) − E(x)/T)  at its position before the transition that leaves f_{β_k} as it is

(Neal 2001). E[w] = Z, so log of a mean of w is below log Z on average, by Jensen. The same path walked from exact draws of
the target back to the base has E[1/w] = 1/Z, and its −log of a mean is above log Z on average (Grosse, Ghahramani and Adams
2015, arXiv:1511.02543). Their gap says how far both can be trusted: it falls as temperatures are added.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from samplers.kernel import Energy, Kernel

Transition = Callable[[Energy, float], Kernel]
"""The kernel that leaves exp(−E) as it is, for the energy between base and target at β, and β: it may choose steps by it."""


class Base(NamedTuple):
    """A distribution to start from whose normaliser is known."""

    energy: Energy  # −log of its density, normalised
    draw: Callable[[int, Generator], Tensor]  # chains and a generator -> (chains, *shape) independent draws


class Estimate(NamedTuple):
    """What the weights of one direction say; a forward estimate tends to be low, a reverse one high."""

    log_z: float  # from the mean of the weights
    standard_error: float  # of log_z, by the delta method; too small where effective_sample_size is
    effective_sample_size: float  # of the weights, from 1 to the number of chains
    bound: float  # from the mean of the log weights: further out, and with an error that can be trusted
    bound_error: float  # its standard error
    log_weights: Tensor  # (chains,), each an estimate of log Z, in double precision
    position: Tensor  # (chains, *shape), where the chains ended: near the target forward, near the base in reverse
    path: Tensor  # (betas, chains), the log weights gathered on the way; forward, those up to β estimate log ∫ f_β


def normal(shape: tuple[int, ...]) -> Base:
    """The standard normal distribution of (\\*shape)."""
    constant = math.prod(shape) * math.log(2 * math.pi) / 2

    def draw(n: int, generator: Generator) -> Tensor:
        return torch.empty(n, *shape, device=generator.device).normal_(generator=generator)

    return Base(lambda x: x.flatten(1).square().sum(1) / 2 + constant, draw)


def uniform(shape: tuple[int, ...], bounds: tuple[float, float]) -> Base:
    """The uniform distribution between ``bounds``. Its transitions must keep to them: give MALA or HMC the same bounds."""
    low, high = bounds
    constant = math.prod(shape) * math.log(high - low)

    def draw(n: int, generator: Generator) -> Tensor:
        return torch.empty(n, *shape, device=generator.device).uniform_(low, high, generator=generator)

    return Base(lambda x: x.new_full((len(x),), constant), draw)


def ladder(n: int, sharpness: float = 4.0) -> list[float]:
    """β from 0 to 1 in ``n`` >= 1 steps, n + 1 values, closer at both ends: the logistic function between ∓``sharpness``.

    That of Grosse et al. 2015, with their 4; towards 0 the steps become equal.
    """
    values = [1 / (1 + math.exp(-sharpness * (2 * k / n - 1))) for k in range(n + 1)]
    return [(value - values[0]) / (values[-1] - values[0]) for value in values]


def forward(
    energy: Energy,
    base: Base,
    transition: Transition,
    betas: Sequence[float],
    chains: int,
    generator: Generator,
    temperature: float = 1.0,
) -> Estimate:
    """log Z from chains that go from the base to exp(−E/T), and where they end.

    ``transition`` must leave its law exactly as it is, as MALA and HMC do once they no longer adapt; it takes one step at
    each of ``betas``, which rise from 0 to 1. A transition costs its kernel's evaluations, one to begin it, and a pass
    through the network without a gradient for the weight.
    """
    x = base.draw(chains, generator)
    gathered = [torch.zeros(chains, dtype=torch.float64, device=x.device)]
    for low, high in _pairs(betas):
        gathered.append(gathered[-1] + (high - low) * _slope(energy, base, x, temperature))
        x, _ = _move(transition, energy, base, high, temperature, x, generator)
    return _estimate(torch.stack(gathered), x)


def reverse(
    energy: Energy,
    base: Base,
    transition: Transition,
    betas: Sequence[float],
    x: Tensor,
    generator: Generator,
    temperature: float = 1.0,
) -> Estimate:
    """log Z from chains that go back from ``x``, (chains, *shape), to the base: ``forward`` turned round.

    It is an upper bound on average if ``x`` are exact draws of exp(−E/T) and the kernels are reversible, as MALA and HMC
    are. Of a learned energy there are none: ends of long chains give a bound that is as good as they are.
    """
    gathered = [torch.zeros(len(x), dtype=torch.float64, device=x.device)]
    for low, high in reversed(_pairs(betas)):
        x, _ = _move(transition, energy, base, high, temperature, x, generator)
        gathered.append(gathered[-1] + (high - low) * _slope(energy, base, x, temperature))
    return _estimate(torch.stack(gathered), x, sign=-1)


def step_sizes(
    energy: Energy,
    base: Base,
    build: Callable[[Energy, float], Kernel],
    betas: Sequence[float],
    chains: int,
    generator: Generator,
    first: float,
    target: float = 0.8,
    temperature: float = 1.0,
) -> dict[float, float]:
    """A step size for each β, by pilot chains that are thrown away: what adapts while it weighs is no longer unbiased.

    ``build`` makes MALA or HMC from an energy and a step size; ``first`` is tried first, at the lowest β. The mean
    acceptance of the pilots is led to ``target`` by four steps at each β. Use the result, as ``sizes``, in both directions:
    ``lambda energy, beta: build(energy, sizes[beta])``.
    """
    x, size, step_sizes = base.draw(chains, generator), first, {}

    def current(bridge: Energy, beta: float) -> Kernel:
        return build(bridge, size)

    for _, beta in _pairs(betas):
        for _ in range(4):
            x, info = _move(current, energy, base, beta, temperature, x, generator)
            size *= math.exp(info.acceptance.mean().item() - target)
        step_sizes[beta] = size
    return step_sizes


def gap(lower: Estimate, upper: Estimate) -> float:
    """Upper minus lower bound, in nats: at least 0 on average, and large where log Z is not known."""
    return upper.bound - lower.bound


def _pairs(betas: Sequence[float]) -> list[tuple[float, float]]:
    pairs = list(zip(betas, betas[1:], strict=False))
    if not pairs or betas[0] != 0 or betas[-1] != 1 or any(low >= high for low, high in pairs):
        raise ValueError("annealing needs rising inverse temperatures from 0 to 1, as annealing.ladder(n) gives them")
    return pairs


def _slope(energy: Energy, base: Base, x: Tensor, temperature: float) -> Tensor:
    """The derivative of log f in β."""
    with torch.no_grad():
        return base.energy(x).double() - energy(x).double() / temperature


def _move(
    transition: Transition, energy: Energy, base: Base, beta: float, temperature: float, x: Tensor, generator: Generator
) -> tuple[Tensor, Any]:
    kernel = transition(lambda y: (1 - beta) * base.energy(y) + beta / temperature * energy(y), beta)
    state, info = kernel.step(kernel.init(x), generator)
    return state.position, info


def _estimate(path: Tensor, x: Tensor, sign: int = 1) -> Estimate:
    """``sign`` −1: of the weights' inverses, whose mean estimates 1/Z."""
    log_weights = path[-1]
    n = len(log_weights)
    logs = sign * log_weights
    log_mean = logs.logsumexp(0) - math.log(n)
    weights = (logs - log_mean).exp()  # of mean 1: their deviation is the relative error, that of the logarithm
    return Estimate(
        sign * log_mean.item(),
        (weights.std() / math.sqrt(n)).item(),
        (weights.sum() ** 2 / weights.square().sum()).item(),
        log_weights.mean().item(),
        (log_weights.std() / math.sqrt(n)).item(),
        log_weights,
        x,
        path,
    )
