"""What trainers do alike: rates and averages by hand, moments of reports, and states that come back."""

import copy
import math

import pytest
import torch
from torch import nn

from models.parts.training import optimisation as training


def test_a_learning_rate_rises_in_a_line_and_falls_by_a_cosine() -> None:
    """1000 updates, 50 of them up, down to a twentieth: half of the way down at the middle."""
    rate = [training.learning_rate(2.0, update, 1000) for update in range(1000)]
    assert rate[0] == pytest.approx(2 / 50) and rate[24] == pytest.approx(2 / 2, rel=0.01)
    assert max(rate) == pytest.approx(2, rel=0.01) and rate.index(max(rate)) == 49
    assert rate[500] == pytest.approx(2 * (0.05 + 1) / 2)
    assert rate[-1] == pytest.approx(2 * 0.05, rel=1e-3)
    assert training.learning_rate(1.0, 0, 10, warmup=1, least=0.0) == 1
    assert training.learning_rate(1.0, 5, 10, warmup=1, least=0.0) == pytest.approx(0.5)


def test_the_average_follows_closely_at_first() -> None:
    """Weights 0 behind weights 1: it keeps (1 + u)/(10 + u) of itself after update u, and never more than its decay."""
    network, average = nn.BatchNorm1d(1), nn.BatchNorm1d(1)
    nn.init.zeros_(average.weight)
    network.running_mean = torch.tensor([7.0])
    average.requires_grad_(False)
    training.follow(average, network, 0, 0.5)
    assert average.weight.item() == pytest.approx(0.9) and average.running_mean == 7
    training.follow(average, network, 1000, 0.5)
    assert average.weight.item() == pytest.approx(0.95)
    assert network.weight.item() == 1 and network.weight.grad is None


def test_moments() -> None:
    """A thousand updates are told of a hundred times; short trainings after each update; the last one always."""
    assert sum(training.due(done, 1000) for done in range(1, 1001)) == 100
    assert all(training.due(done, 7) for done in range(1, 8))
    assert training.due(1003, 1003) and not training.due(1002, 1003)
    assert training.milestones(1000, 4) == {250, 500, 750} and training.milestones(2, 4) == {1}
    assert [training.settled(done, 1000, 100) for done in (250, 251)] == [False, True]
    assert [training.settled(done, 8, 100) for done in (100, 101)] == [False, True]


def test_what_is_no_number_is_left_out() -> None:
    assert training.finite({"a": 1.0, "b": math.nan, "c": math.inf}) == {"a": 1.0}


def test_first_weights_are_of_their_seed_alone_and_leave_the_global_generator() -> None:
    before = torch.get_rng_state()
    with training.seeded(3):
        first = nn.Linear(2, 2)
    torch.rand(5)
    with training.seeded(3):
        again = nn.Linear(2, 2)
    with training.seeded(4):
        other = nn.Linear(2, 2)
    torch.set_rng_state(before)
    assert torch.equal(first.weight, again.weight) and not torch.equal(first.weight, other.weight)
    with training.seeded(5):
        torch.rand(1)
    assert torch.equal(before, torch.get_rng_state())


def test_parts_come_back_as_they_were() -> None:
    network, chance = nn.Linear(2, 2), torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(network.parameters(), 0.1)
    parts: dict[str, training.Part] = {"network": network, "optimizer": optimizer, "chance": chance}

    def step() -> list[float]:
        optimizer.zero_grad()
        network(torch.rand(4, 2, generator=chance)).square().sum().backward()
        optimizer.step()
        return network.weight.flatten().tolist()

    step()
    kept = copy.deepcopy(training.state(1, parts, more="told"))
    assert kept.keys() == {"update", *parts, "more"} and (kept["update"], kept["more"]) == (1, "told")
    later = step()
    assert later != step()
    training.restore(parts, kept)
    assert step() == later
