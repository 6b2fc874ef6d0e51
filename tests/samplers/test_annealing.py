"""Annealed importance sampling on targets whose normaliser is known, from both ends."""

import math

import pytest
import torch
from torch import Tensor

from samplers import annealing, hmc, mala
from samplers.kernel import Energy, Kernel
from tests.samplers.targets import WEIGHTS, generator, mixture


def scaled(scales: Tensor, x: Tensor) -> Tensor:
    """A normal with these standard deviations, not normalised: log Z = Σ log(σ √(2π)) at temperature 1."""
    return (x / scales).square().sum(1) / 2


def by_mala(energy: Energy, beta: float) -> Kernel:
    return mala.build(energy, 0.1)


@pytest.mark.parametrize("dimensions", [1, 3, 10])
@pytest.mark.parametrize("temperature", [1.0, 0.2])
def test_the_normaliser_of_a_gaussian(dimensions: int, temperature: float) -> None:
    scales = torch.linspace(0.4, 1.5, dimensions)
    expected = sum(math.log(scale * math.sqrt(2 * math.pi * temperature)) for scale in scales.tolist())

    def transition(energy: Energy, beta: float) -> Kernel:
        return hmc.build(energy, 0.25 * temperature**0.5, 4, jitter=0.3)

    arguments = transition, annealing.ladder(60)
    base = annealing.normal((dimensions,))
    lower = annealing.forward(lambda x: scaled(scales, x), base, *arguments, 500, generator(), temperature)
    draws = scales * temperature**0.5 * torch.randn(500, dimensions, generator=generator(1))
    upper = annealing.reverse(lambda x: scaled(scales, x), base, *arguments, draws, generator(2), temperature)
    for one in (lower, upper):
        assert abs(one.log_z - expected) < 4 * one.standard_error + 1e-3
        assert one.effective_sample_size > 100
        assert one.position.shape == (500, dimensions) and one.log_weights.dtype == torch.float64
    assert lower.bound - 4 * lower.bound_error < expected < upper.bound + 4 * upper.bound_error


def test_a_mixture_between_walls() -> None:
    """Weights and centres far apart; base uniform between walls that hold all but 1e-9 of the probability."""
    walls = (-10.0, 10.0)

    def transition(energy: Energy, beta: float) -> Kernel:
        return hmc.build(energy, 0.6, 4, jitter=0.3, bounds=walls)

    found = annealing.forward(
        mixture, annealing.uniform((1,), walls), transition, annealing.ladder(40), 4000, generator()
    )
    assert abs(found.log_z) < 4 * found.standard_error
    weights = found.log_weights.softmax(0)
    share = (weights * (found.position[:, 0] < 0)).sum().item()
    assert abs(share - WEIGHTS[0]) < 4 * math.sqrt(WEIGHTS[0] * WEIGHTS[1] / found.effective_sample_size)


def test_truth_lies_between_and_the_gap_closes_with_more_temperatures() -> None:
    """Few transitions, a bad match: averages of log weights are on their sides, the closer the more temperatures."""
    scales = torch.tensor([0.15, 0.3, 2.0])
    expected = sum(math.log(scale * math.sqrt(2 * math.pi)) for scale in scales.tolist())
    draws = scales * torch.randn(4000, 3, generator=generator(1))
    gaps = []
    for n in (2, 8, 32):
        shared = annealing.normal((3,)), by_mala, annealing.ladder(n)
        lower = annealing.forward(lambda x: scaled(scales, x), *shared, 4000, generator())
        upper = annealing.reverse(lambda x: scaled(scales, x), *shared, draws, generator(2))
        assert lower.bound < expected - 4 * lower.bound_error
        assert upper.bound > expected + 4 * upper.bound_error
        gaps.append(annealing.gap(lower, upper))
    assert gaps[0] > 1.5 * gaps[1] > 1.5**2 * gaps[2] > 0


def test_pilots_find_a_step_size_for_every_temperature() -> None:
    """From a base a hundred times as wide as the target, where no one step size does; the bounds are the closer for it."""
    scale, seen, betas = 0.01, [], annealing.ladder(60, 8.0)
    base = annealing.normal((5,))

    def energy(x: Tensor) -> Tensor:
        return (x / scale).square().sum(1) / 2

    found = annealing.step_sizes(energy, base, lambda e, size: hmc.build(e, size, 3), betas, 200, generator(), 0.5)
    assert list(found) == betas[1:] and found[betas[1]] > 20 * found[1.0]

    def transition(energy: Energy, beta: float) -> Kernel:
        kernel = hmc.build(energy, found[beta], 3)

        def step(state: hmc.State, generator: torch.Generator) -> tuple[hmc.State, hmc.Info]:
            after, info = kernel.step(state, generator)
            seen.append(info.acceptance.mean().item())
            return after, info

        return Kernel(kernel.init, step)

    expected = 5 * math.log(scale * math.sqrt(2 * math.pi))
    tuned = annealing.forward(energy, base, transition, betas, 500, generator(1))
    assert 0.6 < min(seen) and sum(seen) / len(seen) == pytest.approx(0.8, abs=0.1)
    fixed = annealing.forward(energy, base, lambda e, beta: hmc.build(e, found[betas[1]], 3), betas, 500, generator(1))
    assert abs(tuned.bound - expected) < abs(fixed.bound - expected) / 3


def test_without_transitions_it_is_importance_sampling() -> None:
    """One step of β: log w is the ratio of the densities at the base's own draws."""
    base = annealing.normal((2,))
    found = annealing.forward(lambda x: x.square().sum(1), base, by_mala, [0.0, 1.0], 50, generator(3))
    x = base.draw(50, generator(3))
    torch.testing.assert_close(found.log_weights, (base.energy(x) - x.square().sum(1)).double())


def test_estimates_by_hand() -> None:
    weights = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    up = annealing._estimate(weights.log()[None], torch.zeros(3))
    assert up.log_z == pytest.approx(math.log(2)) and up.bound == pytest.approx(math.log(6) / 3)
    assert up.effective_sample_size == pytest.approx(36 / 14)
    assert up.standard_error == pytest.approx(0.5 / math.sqrt(3))
    down = annealing._estimate(weights.log()[None], torch.zeros(3), sign=-1)
    assert down.log_z == pytest.approx(-math.log((1 + 1 / 2 + 1 / 3) / 3))
    assert up.log_z > up.bound == down.bound > down.log_z


def test_bases_are_normalised() -> None:
    grid = torch.linspace(-9, 9, 4001, dtype=torch.float64)[:, None]
    for base in (annealing.normal((1,)), annealing.uniform((1,), (-9.0, 9.0))):
        assert torch.trapezoid((-base.energy(grid)).exp(), grid[:, 0]).item() == pytest.approx(1, abs=1e-6)
    assert annealing.uniform((2, 3), (0.0, 2.0)).draw(7, generator()).shape == (7, 2, 3)


@pytest.mark.parametrize("betas", [[], [0.0], [0.0, 0.5], [0.1, 1.0], [0.0, 0.6, 0.5, 1.0]])
def test_inverse_temperatures_rise_from_0_to_1(betas: list[float]) -> None:
    with pytest.raises(ValueError, match="annealing.ladder"):
        annealing.forward(mixture, annealing.normal((1,)), by_mala, betas, 5, generator())


def test_ladders() -> None:
    values = annealing.ladder(10)
    assert (values[0], values[-1], len(values)) == (0, 1, 11)
    steps = [high - low for low, high in zip(values, values[1:], strict=False)]
    assert steps[0] == pytest.approx(steps[-1]) and steps[0] < steps[4] / 3
    places = [1 / (1 + math.exp(-x)) for x in (-4, -2, 0, 2, 4)]  # Grosse et al. have their 4
    wanted = [(place - places[0]) / (places[-1] - places[0]) for place in places]
    assert annealing.ladder(4) == pytest.approx(wanted)
    assert annealing.ladder(4, 1e-4) == pytest.approx([0, 0.25, 0.5, 0.75, 1])
