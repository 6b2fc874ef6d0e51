"""Parallel tempering finds the weights of modes that a single chain never sees."""

import math

import pytest
import torch

from samplers import hmc, mala, tempering
from samplers.kernel import iterate, run
from tests.samplers.targets import (
    CENTRES,
    COVARIANCE,
    MEAN,
    WEIGHTS,
    assert_gaussian,
    draw_gaussian,
    gaussian,
    generator,
    mixture,
)

CHAINS = 4000
LADDER = (1.0, 2.5, 6.0)


def test_the_weights_of_modes_are_right_where_mala_alone_is_stuck() -> None:
    """All chains begin in the lighter mode; eight standard deviations of nothing lie between."""
    start = torch.full((CHAINS, 1), CENTRES[1])
    alone, _ = run(mala.build(mixture, 0.7), start, 100, generator())
    assert (alone > 0).float().mean() > 0.95
    steps = list(iterate(tempering.build(lambda t: mala.build(mixture, 0.7, t), LADDER), start, 150, generator()))
    x = steps[-1][0]
    share = (x < 0).double().mean().item()
    assert abs(share - WEIGHTS[0]) < 4 * math.sqrt(WEIGHTS[0] * WEIGHTS[1] / CHAINS)
    mean = sum(w * c for w, c in zip(WEIGHTS, CENTRES, strict=True))
    variance = 1 + sum(w * c**2 for w, c in zip(WEIGHTS, CENTRES, strict=True)) - mean**2
    assert abs(x.mean().item() - mean) < 4 * math.sqrt(variance / CHAINS)
    rates = torch.stack([info.swaps for _, info in steps]).nanmean((0, 1))
    assert ((rates > 0.2) & (rates < 0.95)).all()


@pytest.mark.parametrize("swap_every", [1, 3])
def test_every_rung_has_its_own_temperature(swap_every: int) -> None:
    """T_k times the covariance, replica by replica, in the inner state's order, and none hears of another."""
    kernel = tempering.build(lambda t: hmc.build(gaussian, 0.45, 3, t, jitter=0.2), (0.5, 1.0, 3.0, 5.0), swap_every)
    state, noise = kernel.init(draw_gaussian(20_000)), generator()
    for _ in range(40):
        state, _ = kernel.step(state, noise)
    for rung, temperature in enumerate((0.5, 1.0, 3.0, 5.0)):
        assert_gaussian(state.replicas.position[rung::4], MEAN, temperature * COVARIANCE)
    torch.testing.assert_close(state.position, state.replicas.position[::4])
    torch.testing.assert_close(state.replicas.energy, gaussian(state.replicas.position))


def test_the_probability_of_a_swap_by_hand() -> None:
    """min(1, exp((1/T_k − 1/T_l)(E_k − E_l))) of the energies after the inner step, even pairs before odd ones."""
    kernel = tempering.build(lambda t: mala.build(gaussian, 1e-12, t), (1.0, 2.0, 4.0))
    state = kernel.init(torch.zeros(2, 2))
    position = torch.randn(6, 2, generator=generator(5))
    inner = mala.build(gaussian, 1e-12).init(position)
    state = state._replace(replicas=inner, position=position[::3])
    after, info = kernel.step(state, generator())
    e = inner.energy.view(2, 3)
    expected = ((1 - 1 / 2) * (e[:, 0] - e[:, 1])).exp().clamp(max=1)
    torch.testing.assert_close(info.swaps[:, 0], expected, rtol=1e-4, atol=1e-4)
    assert info.swaps[:, 1].isnan().all()
    swapped = (after.replicas.position.view(2, 3, 2)[:, 0] - position.view(2, 3, 2)[:, 1]).abs().amax(1) < 1e-4
    assert torch.equal(swapped, (expected > 0.99) | swapped)
    _, info = kernel.step(after, generator())
    e = after.replicas.energy.view(2, 3)
    torch.testing.assert_close(
        info.swaps[:, 1], ((1 / 2 - 1 / 4) * (e[:, 1] - e[:, 2])).exp().clamp(max=1), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("ladder", [(1.0,), (2.0, 1.0), (0.0, 1.0)])
def test_ladders_rise(ladder: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="rising temperatures"):
        tempering.build(lambda t: mala.build(gaussian, 0.1, t), ladder)


def test_swaps_happen_at_some_step() -> None:
    with pytest.raises(ValueError, match="from 1 on"):
        tempering.build(lambda t: mala.build(gaussian, 0.1, t), LADDER, swap_every=0)
