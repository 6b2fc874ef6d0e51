"""Learning rates and averages by hand, and first weights."""

import pytest
import torch
from torch import nn

from models.parts.training import optimisation


def test_a_learning_rate_rises_in_a_line_and_falls_by_a_cosine() -> None:
    """1000 updates, 50 of them up, down to a twentieth: half of the way down at the middle."""
    rate = [optimisation.learning_rate(2.0, update, 1000) for update in range(1000)]
    assert rate[0] == pytest.approx(2 / 50) and rate[24] == pytest.approx(2 / 2, rel=0.01)
    assert max(rate) == pytest.approx(2, rel=0.01) and rate.index(max(rate)) == 49
    assert rate[500] == pytest.approx(2 * (0.05 + 1) / 2)
    assert rate[-1] == pytest.approx(2 * 0.05, rel=1e-3)
    assert optimisation.learning_rate(1.0, 0, 10, warmup=1, least=0.0) == 1
    assert optimisation.learning_rate(1.0, 5, 10, warmup=1, least=0.0) == pytest.approx(0.5)


def test_the_average_follows_closely_at_first() -> None:
    """Weights 0 behind weights 1: it keeps (1 + u)/(10 + u) of itself after update u, and never more than its decay."""
    network, average = nn.BatchNorm1d(1), nn.BatchNorm1d(1)
    nn.init.zeros_(average.weight)
    network.running_mean = torch.tensor([7.0])
    average.requires_grad_(False)
    optimisation.update_ema(average, network, 0, 0.5)
    assert average.weight.item() == pytest.approx(0.9) and average.running_mean == 7
    optimisation.update_ema(average, network, 1000, 0.5)
    assert average.weight.item() == pytest.approx(0.95)
    assert network.weight.item() == 1 and network.weight.grad is None


def test_first_weights_are_of_their_seed_alone_and_leave_the_global_generator() -> None:
    before = torch.get_rng_state()
    with optimisation.seeded_init(3):
        first = nn.Linear(2, 2)
    torch.rand(5)
    with optimisation.seeded_init(3):
        again = nn.Linear(2, 2)
    with optimisation.seeded_init(4):
        other = nn.Linear(2, 2)
    torch.set_rng_state(before)
    assert torch.equal(first.weight, again.weight) and not torch.equal(first.weight, other.weight)
    with optimisation.seeded_init(5):
        torch.rand(1)
    assert torch.equal(before, torch.get_rng_state())
