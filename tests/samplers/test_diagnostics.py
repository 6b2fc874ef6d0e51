"""Diagnostics on processes whose autocorrelation is known, and on faults that they are there to find."""

import math

import pytest
import torch
from torch import Tensor

from samplers import diagnostics, langevin
from samplers.kernel import iterate
from tests.samplers.targets import generator


def autoregressive(rho: float, chains: int, draws: int, *shape: int) -> Tensor:
    """x_t = ρ x_{t−1} + √(1 − ρ²) N(0, 1), begun at its own law, N(0, 1)."""
    noise = torch.randn(chains, draws, *shape, generator=generator())
    x = [noise[:, 0]]
    for t in range(1, draws):
        x.append(rho * x[-1] + math.sqrt(1 - rho**2) * noise[:, t])
    return torch.stack(x, 1)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, -0.4])
def test_the_sample_size_of_an_autoregression(rho: float) -> None:
    """Its autocorrelation time is (1 + ρ) / (1 − ρ); eight elements of a shape are judged one by one, and alike."""
    draws = autoregressive(rho, 8, 2000, 2, 4)
    size = diagnostics.effective_sample_size(draws)
    assert size.shape == (2, 4)
    expected = 16_000 * (1 - rho) / (1 + rho)
    assert abs(size.mean().item() / expected - 1) < 0.1
    torch.testing.assert_close(size[1, 2], diagnostics.effective_sample_size(draws[:, :, 1, 2]))
    assert (diagnostics.split_rhat(draws) < 1.02).all()
    assert diagnostics.tail_effective_sample_size(draws).mean() > 0.7 * min(expected, 16_000)


def test_ranks_do_not_care_for_scale_or_tails() -> None:
    """A monotone change of scale leaves ranks, so what is said of a Cauchy-like tail is what is said of the normal."""
    draws = autoregressive(0.6, 4, 500).double()
    for function in (diagnostics.split_rhat, diagnostics.effective_sample_size):
        torch.testing.assert_close(function(draws.sinh() ** 3), function(draws), rtol=0.02, atol=0.0)
    size = diagnostics.effective_sample_size
    torch.testing.assert_close(size(draws**3), size(draws))


def test_chains_that_disagree_are_found() -> None:
    draws = autoregressive(0.3, 4, 400, 3)
    draws[0, :, 0] += 1.0  # another place
    draws[0, :, 1] *= 3.0  # another spread: means agree, only the folded ranks see it
    draws[:, 200:, 2] += 1.0  # all chains wander: only the halves see it
    assert (diagnostics.split_rhat(draws) > 1.02).all()


def test_a_cold_chain_has_fewer_draws_than_a_warm_one() -> None:
    """Of plain Langevin dynamics on a Gaussian the lag-one correlation is 1 − a, so the size is n a / (2 − a)."""
    x = torch.randn(10, 1, generator=generator(1))
    kernel = langevin.build(lambda x: x.square().sum(1) / 2, 0.2)
    draws = torch.stack([x for x, _ in iterate(kernel, x, 2000, generator())], 1)
    assert diagnostics.effective_sample_size(draws).item() == pytest.approx(20_000 * 0.2 / 1.8, rel=0.15)


def test_draws_that_do_not_vary_and_too_few() -> None:
    assert diagnostics.effective_sample_size(torch.ones(4, 10)).isnan()
    assert diagnostics.split_rhat(torch.ones(4, 10)).isnan()
    with pytest.raises(ValueError, match="at least 4 draws"):
        diagnostics.split_rhat(torch.ones(4, 3))


def test_acceptance_is_told_chain_by_chain() -> None:
    found = diagnostics.acceptance(torch.tensor([[0.5, 0.7], [0.0, 0.0], [1.0, 1.0], [0.3, 0.3]]))
    assert found == pytest.approx((0.475, 0.0, 1.0, 0.25))


def test_drift_is_the_slope_and_its_error() -> None:
    noise = torch.randn(50, 200, generator=generator(2))
    still = diagnostics.energy_drift(noise)
    assert {type(value) for value in still} == {float}
    assert abs(still.slope) < 4 * still.standard_error
    falling = diagnostics.energy_drift(noise - 0.01 * torch.arange(200))
    assert abs(falling.slope + 0.01) < 4 * falling.standard_error
    # of a least-squares slope over n steps with noise 1, the error is √(12 / (n³ − n)) in each chain
    assert falling.standard_error == pytest.approx(math.sqrt(12 / (200**3 - 200) / 50), rel=0.4)
    assert diagnostics.energy_drift(torch.tensor([[3.0, 2.0, 1.0]])).slope == pytest.approx(-1)
    assert math.isnan(diagnostics.energy_drift(torch.tensor([[3.0, 2.0, 1.0]])).standard_error)
