"""The chains of an energy-based model: what the settings mean for every sampler."""

import math

import pytest
import torch
from torch import Tensor

from models.ebm.chains import KERNELS, build, chains
from models.ebm.config import Config
from models.env import Env


@pytest.mark.parametrize("sampler", ["langevin", "proximal"])
def test_a_step_moves_a_pixel_by_at_most_the_clipped_gradient(sampler: str) -> None:
    """E(x) = 100 Σx: without clipping one step of size 2 would go to the wall."""
    config = Config(sampler=sampler, step_size=2.0, grad_clip=0.1, noise_start=0.0, noise_end=0.0)  # type: ignore[arg-type]
    begin = torch.zeros(2, 1, 8, 8)
    end, _ = chains(
        config, lambda x: 100 * x.flatten(1).sum(1), Env("digits"), begin, 1, torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(end, torch.full_like(begin, -0.2))


def test_a_step_of_the_textbook_rule_is_the_closed_form_and_clips_nothing() -> None:
    """E(x) = 500 Σx²: x − (ε²/2)·1000x + ε·η, far beyond grad_clip and the data range. The other settings have no effect."""
    config = Config(rule="textbook", noise_start=0.1, step_size=10.0, grad_clip=0.1, coupled=True)
    begin = torch.linspace(-1, 1, 128).view(2, 1, 8, 8)
    end, _ = chains(
        config, lambda x: 500 * x.square().flatten(1).sum(1), Env("digits"), begin, 1, torch.Generator().manual_seed(0)
    )
    eta = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(end, begin - 0.1**2 / 2 * 1000 * begin + 0.1 * eta)
    assert end.abs().max() > 2


@pytest.mark.parametrize("sampler", KERNELS)
def test_a_chain_costs_the_evaluations_that_it_is_given(sampler: str) -> None:
    """A state that holds energy and gradient has them before the first step: for each replica of a chain once."""
    evaluated: list[int] = []

    def energy(x: Tensor) -> Tensor:
        evaluated.append(len(x))
        return x.square().flatten(1).sum(1)

    n_chains, begin, generator = 4, torch.zeros(4, 1, 8, 8), torch.Generator().manual_seed(0)
    config = Config(sampler=sampler)  # type: ignore[arg-type]
    kernel, n_steps = build(config, energy, Env("digits"), 40)
    state = kernel.init(begin)
    before = sum(evaluated)
    for _ in range(n_steps):
        state, _ = kernel.step(state, generator)
    assert sum(evaluated) - before == n_steps * kernel.evaluations * n_chains
    assert 40 - kernel.evaluations < n_steps * kernel.evaluations <= 40


def test_friction_damps_by_the_step_and_not_by_its_size() -> None:
    """BAOAB at temperature 0 on E(x) = Σx, from rest: half a kick, half a drift, damped by exp(−friction), half a drift."""
    config = Config(sampler="underdamped", step_size=0.02, friction=0.5, grad_clip=None, noise_start=0.0, noise_end=0.0)
    begin = torch.zeros(2, 1, 8, 8)
    generator = torch.Generator().manual_seed(0)
    end, _ = chains(config, lambda x: x.flatten(1).sum(1), Env("digits"), begin, 1, generator)
    torch.testing.assert_close(end, torch.full_like(begin, -config.step_size / 2 * (1 + math.exp(-config.friction))))
