"""Kernels without a Metropolis step, against the laws that their discretisations are known to have."""

import math

import pytest
import torch
from torch import Tensor

from samplers import langevin, preconditioned, proximal, schedules, underdamped
from samplers.kernel import Energy, Kernel, Parameter, iterate, run
from tests.samplers.targets import COVARIANCE, MEAN, assert_gaussian, gaussian, generator

CHAINS = 20_000


@pytest.mark.parametrize(("step_size", "friction"), [(0.1, 1.0), (0.55, 1.0), (0.55, 0.3), (0.55, math.inf)])
@pytest.mark.parametrize("temperature", [1.0, 0.01])
def test_underdamped_positions_are_exact_on_a_gaussian(step_size: float, friction: float, temperature: float) -> None:
    """At any stable step (here up to h²λ = 3), any friction and temperature; velocities have T(1 − h²λ/4)."""
    kernel = underdamped.build(gaussian, step_size, friction, temperature)
    generous = 300 if friction == 1 and step_size == 0.1 else 150
    state, noise = kernel.init(MEAN.expand(CHAINS, 2)), generator()
    for _ in range(generous):
        state, _ = kernel.step(state, noise)
    assert_gaussian(state.position, MEAN, temperature * COVARIANCE)
    precision = torch.linalg.inv(COVARIANCE)
    assert_gaussian(state.velocity, torch.zeros(2), temperature * (torch.eye(2) - step_size**2 / 4 * precision))


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        (underdamped.build(gaussian, 0.3), underdamped.build(gaussian, 0.3, 1.0, 1.0, None, None)),
        (preconditioned.build(gaussian, 0.1, torch.ones(2)), preconditioned.build(gaussian, 0.1, torch.ones(2), 1.0)),
        (langevin.build(gaussian, 0.1), langevin.build(gaussian, 0.1, math.sqrt(0.2))),
    ],
)
def test_a_kernel_of_which_no_more_is_said_is_at_temperature_1_and_friction_1(plain: Kernel, said: Kernel) -> None:
    ends = [run(kernel, torch.zeros(8, 2), 20, generator())[0] for kernel in (plain, said)]
    assert torch.equal(*ends)


@pytest.mark.parametrize("temperature", [1.0, 0.04])
def test_preconditioned_chains_reach_the_variance_of_their_discretisation(temperature: float) -> None:
    """T / (λ(1 − aMλ/2)) in each pixel, whatever its scale; with M = 1/λ every pixel has the same relative error."""
    curvature = torch.tensor([0.01, 1.0, 400.0])
    variance = torch.tensor([100.0, 0.5, 1 / 400])
    kernel = preconditioned.build(lambda x: (curvature * x**2).sum(1) / 2, 0.3, variance, temperature)
    x, _ = run(kernel, torch.zeros(CHAINS, 3), 40, generator())
    assert_gaussian(x, torch.zeros(3), torch.diag(temperature / (curvature * (1 - 0.15 * variance * curvature))))


def test_a_preconditioner_of_ones_is_plain_langevin() -> None:
    start = torch.randn(5, 2, generator=generator(1))
    one, _ = run(preconditioned.build(gaussian, 0.05, torch.ones(()), 0.3), start, 10, generator(2))
    other, _ = run(langevin.build(gaussian, 0.05, math.sqrt(2 * 0.05 * 0.3)), start, 10, generator(2))
    torch.testing.assert_close(one, other)


def test_pixels_that_never_vary_need_a_floor() -> None:
    with pytest.raises(ValueError, match="add a floor"):
        preconditioned.build(gaussian, 0.1, torch.tensor([1.0, 0.0]))


@pytest.mark.parametrize("name", ["preconditioned", "underdamped"])
def test_reflection_keeps_a_flat_law(name: str) -> None:
    """Without a force the uniform distribution stays what it is, between walls a step apart."""

    def flat(x: Tensor) -> Tensor:
        return 0 * x.sum(1)

    if name == "underdamped":
        kernel = underdamped.build(flat, 0.8, bounds=(0, 1))
    else:
        kernel = preconditioned.build(flat, 0.3, torch.tensor([1.0, 0.1]), bounds=(0, 1))
    x, _ = run(kernel, torch.rand(CHAINS, 2, generator=generator(1)), 20, generator())
    for power in (1, 2, 4, 8):
        found = x.flatten() ** power
        assert abs(found.mean() - 1 / (power + 1)) < 4 * found.std() / math.sqrt(len(found))


def test_chains_of_many_settings_go_as_each_would_alone() -> None:
    """Step sizes, noises and schedules of them, one for each chain, in one batch: the same noise, the same positions."""
    steps, noises = [0.01, 0.1, 0.3], [0.05, 0.0, 0.2]
    shapes = [schedules.build("linear", one, one / 10, 6) for one in steps]
    start = torch.randn(3, 1, 2, 2, generator=generator(1))
    noise_source = generator(2)
    draws = [torch.empty_like(start).normal_(generator=noise_source) for _ in range(6)]

    def energy(x: Tensor) -> Tensor:
        return (x**4).flatten(1).sum(1) / 4

    def alone(chain: int, noise: bool) -> Tensor:
        x = start[chain]
        for k in range(6):
            a = shapes[chain](k)
            x = x - a * x**3 + (noises[chain] if noise else math.sqrt(2 * a)) * draws[k][chain]
        return x

    together: Parameter = lambda k: torch.tensor([shape(k) for shape in shapes]).view(3, 1, 1, 1)  # noqa: E731
    for noise in (None, torch.tensor(noises), lambda k: torch.tensor(noises).view(3, 1, 1, 1)):
        x, _ = run(langevin.build(energy, together, noise), start, 6, generator(2))
        torch.testing.assert_close(x, torch.stack([alone(chain, noise is not None) for chain in range(3)]))


def test_one_setting_for_each_chain_is_that_setting_for_all() -> None:
    """A tensor of equal values and the number do the same, in every kernel that takes both."""
    start = torch.randn(4, 2, generator=generator(1))
    for build in (
        lambda a, t: langevin.build(gaussian, a, t),
        lambda a, t: underdamped.build(gaussian, a, 0.5, t),
        lambda a, t: underdamped.build(gaussian, 0.1, a, t),
        lambda a, t: preconditioned.build(gaussian, a, torch.tensor([1.0, 0.5]), t),
        lambda a, t: proximal.build(gaussian, a, 0.3, t),
    ):
        one, _ = run(build(0.05, 0.2), start, 5, generator(2))
        other, _ = run(build(torch.full((4,), 0.05), lambda k: torch.full((4, 1), 0.2)), start, 5, generator(2))
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("bounds", [None, (-0.6, 0.6)])
def test_proximal_steps_by_hand(bounds: tuple[float, float] | None) -> None:
    """E(x) = r(f₁(x)) with f₁ = tanh: the inner gradient is p · (1 − tanh²x) with p frozen at the outer position."""

    def rest(z: Tensor) -> Tensor:
        return (z**3).sum(1)

    x = torch.tensor([[0.5, -0.4, 0.1]], dtype=torch.float64)
    kernel = proximal.build(rest, 0.4, 0.3, 0.1, 3, torch.tanh, bounds)
    (end, info) = run(kernel, x, 2, generator(1))
    noise = generator(1)
    low, high = bounds or (-math.inf, math.inf)
    for _ in range(2):
        p = 3 * x.tanh() ** 2
        for _ in range(3):
            x = (x - 0.4 * (p * (1 - x.tanh() ** 2)).clamp(-0.3, 0.3)).clamp(low, high)
        x = (x + 0.1 * torch.empty_like(x).normal_(generator=noise)).clamp(low, high)
    torch.testing.assert_close(end, x)


def test_inner_steps_behind_a_linear_layer_are_one_longer_step() -> None:
    weights = torch.randn(3, 5, generator=generator(1))
    rest: Energy = lambda z: z.square().sum(1).sin()  # noqa: E731
    start = torch.rand(4, 3, generator=generator(2)) * 2 - 1
    inner = proximal.build(rest, 0.2, 0.5, inner_steps=5, first_layer=lambda x: x @ weights, bounds=(-1, 1))
    folded = proximal.build(lambda x: rest(x @ weights), 0.2, 0.5, inner_steps=5, bounds=(-1, 1))
    single = proximal.build(lambda x: rest(x @ weights), 1.0, 0.5, bounds=(-1, 1))
    for (one, seen), (other, _), (third, _) in zip(
        *(iterate(kernel, start, 3, generator()) for kernel in (inner, folded, single)), strict=True
    ):
        torch.testing.assert_close(one, other)
        torch.testing.assert_close(one, third)
        assert seen.gradient.abs().max() <= 0.5


def test_a_proximal_step_needs_an_inner_one() -> None:
    with pytest.raises(ValueError, match="at least one inner step"):
        proximal.build(gaussian, 0.1, 1.0, inner_steps=0)
