"""Metropolis-adjusted kernels: their laws are exact at any step size, at any temperature, between walls."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from samplers import hmc, mala
from samplers.kernel import Energy, Kernel, Parameter, iterate, run
from samplers.metropolis import accept
from samplers.reflection import reflect
from tests.samplers.targets import COVARIANCE, MEAN, assert_gaussian, draw_gaussian, gaussian, generator

CHAINS = 20_000

Build = Callable[[Energy, Parameter], Kernel]  # of an energy and a temperature
EXACT: dict[str, Build] = {
    "mala": lambda energy, t: mala.build(energy, 0.12, t),
    "mala, large steps": lambda energy, t: mala.build(energy, 0.3, t),
    "mala, clipped": lambda energy, t: mala.build(energy, 0.12, t, grad_clip=0.5),
    "hmc": lambda energy, t: hmc.build(energy, 0.45, 3, t),
    "hmc, jittered and clipped": lambda energy, t: hmc.build(energy, 0.45, 3, t, jitter=0.5, grad_clip=2.0),
}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("temperature", [1.0, 0.01])
def test_chains_reach_the_moments_of_the_target(name: str, temperature: float) -> None:
    kernel = EXACT[name](gaussian, temperature)
    x, _ = run(kernel, MEAN.expand(CHAINS, 2), 80, generator())
    assert_gaussian(x, MEAN, temperature * COVARIANCE)


@pytest.mark.parametrize("name", EXACT)
def test_exact_draws_stay_exact(name: str) -> None:
    """One step from the target itself: what is only nearly stationary is seen at once, however fast it mixes."""
    start, kernel = draw_gaussian(200_000), EXACT[name](gaussian, 1.0)
    x, info = run(kernel, start, 1, generator())
    assert_gaussian(x, MEAN, COVARIANCE)
    assert 0.2 < info.acceptance.mean() < 0.99, "a test of the ratio needs rejections and acceptances"


@pytest.mark.parametrize("name", EXACT)
def test_the_acceptance_of_a_stationary_chain_is_symmetric(name: str) -> None:
    """E[min(1, r) f(x, y)] = E[min(1, r) f(y, x)], here for f = x₁²y₂: detailed balance, not just right moments."""
    start = draw_gaussian(200_000)
    state = EXACT[name](gaussian, 1.0).init(start)
    after, _ = EXACT[name](gaussian, 1.0).step(state, generator())
    x, y = start - MEAN, after.position - MEAN
    difference = x[:, 0] ** 2 * y[:, 1] ** 2 - y[:, 0] ** 2 * x[:, 1] ** 2
    assert abs(difference.mean()) < 4 * difference.std() / math.sqrt(len(x))


def test_the_ratio_is_that_of_the_proposal_densities() -> None:
    """log r = −ΔE/T + log q(x|y) − log q(y|x) with q the normal density that the algorithm is known by."""
    a, t = 0.3, 0.7

    def energy(x: Tensor) -> Tensor:
        return (x**4 / 4 - x).sum(1)

    x = torch.randn(6, 3, dtype=torch.float64, generator=generator(1))
    noise = torch.empty_like(x).normal_(generator=generator(2))
    y = x - a * (x**3 - 1) + math.sqrt(2 * a * t) * noise

    def log_q(y: Tensor, x: Tensor) -> Tensor:
        return -(y - x + a * (x**3 - 1)).square().sum(1) / (4 * a * t)

    expected = (-(energy(y) - energy(x)) / t + log_q(x, y) - log_q(y, x)).clamp(max=0).exp()
    kernel = mala.build(energy, a, t)
    after, info = kernel.step(kernel.init(x), generator(2))
    torch.testing.assert_close(info.acceptance, expected)
    moved = (after.position != x).all(1)
    torch.testing.assert_close(after.position[moved], y[moved])


@pytest.mark.parametrize(
    "kernel",
    [
        mala.build(lambda x: 2 * x.sum(1), 0.5, bounds=(0, 1)),
        mala.build(lambda x: 4 * x.sum(1), 0.5, 2.0, bounds=(0, 1)),
        hmc.build(lambda x: 2 * x.sum(1), 0.4, 3, jitter=0.2, bounds=(0, 1)),
    ],
)
def test_walls_keep_the_law_between_them(kernel: Kernel) -> None:
    """exp(−2x) on [0, 1], with steps about as long as the interval: E[x^k] = k/2 E[x^(k−1)] − 1/(e² − 1), by parts."""
    x, _ = run(kernel, torch.rand(CHAINS, 2, generator=generator(3)), 60, generator())
    expected = 1.0
    for power in (1, 2, 3):
        expected = power / 2 * expected - 1 / (math.e**2 - 1)
        found = x.flatten().double() ** power
        assert abs(found.mean() - expected) < 4 * found.std() / math.sqrt(len(found)), power


def test_a_trajectory_leads_back() -> None:
    """With the momentum turned round, through the same walls: what the ratio of Hamiltonian Monte Carlo relies on."""
    bounds, h = (-1.0, 1.0), 0.7
    x = torch.rand(50, 3, dtype=torch.float64, generator=generator()) * 2 - 1
    p = 3 * torch.randn(50, 3, dtype=torch.float64, generator=generator(1))

    def leap(x: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        for _ in range(5):
            p = p - h / 2 * x
            x, p = reflect(x + h * p, p, bounds)
            p = p - h / 2 * x
        return x, p

    y, q = leap(x, p)
    back, turned = leap(y, -q)
    torch.testing.assert_close(back, x)
    torch.testing.assert_close(turned, -p)
    assert (q - p).abs().max() > 1


@pytest.mark.parametrize(
    ("name", "target"),
    [("mala", 0.574), ("hmc", 0.8)],
)
def test_a_warm_up_finds_the_acceptance_and_then_freezes(name: str, target: float) -> None:
    """From a step size that is far too small, and from one far too large, each chain for itself."""
    start = torch.tensor([1e-4, 3.0]).repeat(500)

    def energy(x: Tensor) -> Tensor:
        return (x.square() * torch.linspace(0.5, 2, 10)).sum(1) / 2

    if name == "mala":
        kernel = mala.build(energy, start, warmup=150)
    else:
        kernel = hmc.build(energy, start, 3, jitter=0.1, warmup=150)
    steps = list(iterate(kernel, torch.randn(1000, 10, generator=generator(1)), 250, generator()))
    sizes = [info.step_size for _, info in steps]
    assert not torch.equal(sizes[148], sizes[149])
    assert all(torch.equal(sizes[150], size) for size in sizes[151:])
    for half in (slice(0, None, 2), slice(1, None, 2)):
        rate = torch.stack([info.acceptance[half] for _, info in steps[150:]]).mean()
        assert abs(rate - target) < 0.05


def test_what_is_not_a_number_is_rejected() -> None:
    kernel = mala.build(lambda x: torch.where(x > 0, torch.nan, x.square()).sum(1), 1.0)
    state = kernel.init(torch.full((100, 1), -0.1))
    for _ in range(5):
        state, _ = kernel.step(state, generator())
    assert (state.position <= 0).all() and state.energy.isfinite().all()
    accepted, probability = accept(torch.tensor([torch.nan, torch.inf, -torch.inf, 0.0]), generator())
    assert accepted.tolist() == [False, True, False, True] and probability.tolist() == [0, 1, 0, 1]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one leapfrog step"):
        hmc.build(gaussian, 0.1, 0)
    with pytest.raises(ValueError, match="jitter"):
        hmc.build(gaussian, 0.1, 2, jitter=1.0)
