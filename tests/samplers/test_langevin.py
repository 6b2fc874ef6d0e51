"""The Langevin kernel against distributions whose moments are known exactly, and against the rule written out by hand."""

import math

import pytest
import torch

from samplers import langevin, schedules, starts
from samplers.kernel import energy_and_gradient, iterate, run

CHAINS = 20_000


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("curvature", [0.5, 1.0, 4.0])
@pytest.mark.parametrize(("step_size", "noise"), [(0.1, None), (0.1, 0.05), (0.3, 0.2), (0.02, 0.4)])
def test_chains_reach_the_variance_of_the_discretised_dynamics(
    curvature: float, step_size: float, noise: float | None
) -> None:
    """On E = λx²/2, x ← (1 − aλ) x + s N(0,1) has the variance s² / (1 − (1 − aλ)²), at any temperature s²/2a."""
    kernel = langevin.build(lambda x: curvature * x.square().sum(1) / 2, step_size, noise)
    s = math.sqrt(2 * step_size) if noise is None else noise
    contraction = 1 - step_size * curvature
    expected = s**2 / (1 - contraction**2)
    n_steps = math.ceil(math.log(1e-4) / math.log(abs(contraction)))  # what is left of the start's deviation: 1e-4
    x, _ = run(kernel, torch.zeros(CHAINS, 2), n_steps, generator())
    values = x.flatten()
    # Of n normal values the variance has the standard error σ²√(2/n), the mean σ/√n: four of each.
    assert abs(values.var().item() / expected - 1) < 4 * math.sqrt(2 / values.numel()) + 1e-3
    assert abs(values.mean().item()) < 4 * math.sqrt(expected / values.numel())


def test_without_noise_given_the_temperature_is_one() -> None:
    """For small steps the variance tends to 1/λ, the Boltzmann one."""
    kernel = langevin.build(lambda x: 3.0 * x.square().sum(1) / 2, 0.01)
    x, _ = run(kernel, torch.zeros(CHAINS, 1), 300, generator())
    assert x.var().item() == pytest.approx(1 / 3, rel=0.05)


def test_the_textbook_rule_is_one_setting() -> None:
    """x − (ε²/2)∇E + ε η with ε falling geometrically, step by step the same as the kernel."""
    eps = schedules.build("geometric", 0.3, 0.01, 8)
    kernel = langevin.build(lambda x: (x**4).sum(1), lambda k: eps(k) ** 2 / 2)
    start = by_hand = starts.uniform(5, (3,), (-1, 1), generator(1))
    noise = generator(2)
    for k in range(8):
        eta = torch.empty_like(by_hand).normal_(generator=noise)
        by_hand = by_hand - eps(k) ** 2 / 2 * (4 * by_hand**3) + eps(k) * eta
    x, _ = run(kernel, start, 8, generator(2))
    torch.testing.assert_close(x, by_hand)


def test_clipping_bounds_the_move_and_is_told() -> None:
    kernel = langevin.build(lambda x: 100 * x.sum(1), 0.5, noise=0.0, grad_clip=0.1)
    x, info = run(kernel, torch.zeros(4, 3), 1, generator())
    torch.testing.assert_close(x, torch.full((4, 3), -0.05))
    torch.testing.assert_close(info.gradient, torch.full((4, 3), 0.1))
    torch.testing.assert_close(info.energy, torch.zeros(4))


def test_positions_stay_within_their_bounds() -> None:
    kernel = langevin.build(lambda x: -x.sum(1), 1.0, noise=2.0, bounds=(-1, 1))
    for x, _ in iterate(kernel, torch.zeros(100, 4), 5, generator()):
        assert x.min() >= -1 and x.max() <= 1
    assert (x == 1).float().mean() > 0.3  # it drifts upwards, so many have arrived


def test_same_generator_same_chain_and_nothing_is_overwritten() -> None:
    kernel = langevin.build(lambda x: x.square().sum(1), 0.1)
    start = starts.uniform(6, (2,), (-1, 1), generator(3))
    before = start.clone()
    visited = [x.clone() for x, _ in iterate(kernel, start, 4, generator(4))]
    again = [x for x, _ in iterate(kernel, start, 4, generator(4))]
    for one, other in zip(visited, again, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    torch.testing.assert_close(start, before, rtol=0, atol=0)
    assert not torch.equal(visited[0], visited[1])


def test_energy_and_gradient_by_hand() -> None:
    e, g = energy_and_gradient(lambda x: (x**3).sum(1), torch.tensor([[1.0, 2.0]]))
    assert e.tolist() == [9.0]
    assert g.tolist() == [[3.0, 12.0]]


def test_a_chain_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one step"):
        run(langevin.build(lambda x: x.sum(1), 0.1), torch.zeros(1, 1), 0, generator())
