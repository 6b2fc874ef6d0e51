"""Hidden pixels of 4×4 images, where all completions can be enumerated."""

import itertools
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from models.autoregressive.bayes_net import BayesNet
from models.autoregressive.config import BayesNetConfig
from models.autoregressive.dependence import ABOVE, ASIDE, conditional_information
from models.autoregressive.inference import (
    ancestral,
    elbo,
    entropy,
    exact_where_last,
    gibbs,
    importance,
    lattices,
    log_odds,
    mean_field,
)
from models.autoregressive.networks import nats_by_place
from models.parts.training.optimisation import seeded_init

SETTINGS = [
    {"neighbours": 3, "cpd": "linear", "position": "none"},
    {"neighbours": 8, "cpd": "linear", "position": "own"},
    {"neighbours": 24, "cpd": "mlp", "position": "bias"},
]
HOLE = torch.tensor([0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 0, 0]).bool()
END = torch.arange(16) >= 10


def made(settings: dict[str, object], shape: tuple[int, int, int] = (1, 4, 4)) -> BayesNet:
    with seeded_init(2):
        net = BayesNet(BayesNetConfig.model_validate({"width": 6} | settings), shape)
        for weight in net.parameters():
            torch.nn.init.normal_(weight, 0, 0.7)
    return net.eval()


def seen_tokens() -> Tensor:
    return torch.randint(2, (1, 16), generator=torch.Generator().manual_seed(4))


class Enumerated(NamedTuple):
    """All completions, their log probabilities, and what these say of the seen and the hidden pixels."""

    tokens: Tensor
    nats: Tensor
    seen: float
    white: Tensor


def enumerated(net: BayesNet, tokens: Tensor, hidden: Tensor) -> Enumerated:
    completions = torch.tensor(list(itertools.product([0, 1], repeat=int(hidden.sum()))))
    every = tokens.repeat(len(completions), 1)
    every[:, hidden] = completions
    nats = nats_by_place(net, every).sum(1)
    posterior = (nats - nats.logsumexp(0)).exp()
    return Enumerated(every, nats, float(nats.logsumexp(0)), posterior @ every.double())


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("hidden", [HOLE, END], ids=["hole", "end"])
def test_the_elbo_of_mean_field_is_a_bound_and_no_factor_alone_improves_it(
    settings: dict[str, object], hidden: Tensor
) -> None:
    net, tokens = made(settings), seen_tokens()
    exact = enumerated(net, tokens, hidden)

    def bound(white: Tensor) -> float:
        law = torch.where(exact.tokens.bool(), white, 1 - white)[:, hidden].log().sum(1)
        return float((law.exp() * (exact.nats - law)).sum())

    begin = torch.where(hidden, 0.5, tokens.double())
    posterior = mean_field(net, begin, hidden, 8, 2_000, torch.Generator().manual_seed(0))
    found = bound(posterior.white)
    assert found <= exact.seen + 1e-9
    assert found > bound(begin), "better than where it began"
    for place in hidden.nonzero().flatten().tolist():
        for change in (-0.05, 0.05):
            other = posterior.white.clone()
            other[0, place] = (other[0, place] + change).clamp(1e-6, 1 - 1e-6)
            assert bound(other) < found + 5e-3, "2,000 draws leave a little"
    estimate = elbo(net, posterior.white, hidden, torch.Generator().manual_seed(1), draws=20_000)
    assert float(estimate) == pytest.approx(found, abs=0.03)


@pytest.mark.parametrize("settings", SETTINGS)
def test_gibbs_sampling_agrees_with_enumeration(settings: dict[str, object]) -> None:
    """4,000 chains of 20 sweeps: each pixel's share of white within four standard errors."""
    net, tokens = made(settings), seen_tokens()
    exact, generator = enumerated(net, tokens, HOLE), torch.Generator().manual_seed(0)
    begun = torch.where(HOLE, torch.randint(2, (4_000, 16), generator=generator), tokens)
    shares = gibbs(net, begun, HOLE, 20, generator).double().mean(0)
    white = exact.white.clamp(max=1)  # a sum of probabilities, which rounding may lift above 1
    error = (white * (1 - white) / 4_000).sqrt()
    assert bool(((shares - exact.white).abs() <= 4.5 * error + 1e-9).all())


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_importance_estimate_and_the_chain_rule_agree_with_enumeration(settings: dict[str, object]) -> None:
    net, tokens = made(settings), seen_tokens()
    exact = enumerated(net, tokens, END)
    assert float(exact_where_last(net, tokens, END)) == pytest.approx(exact.seen, abs=1e-5)
    generator = torch.Generator().manual_seed(0)
    white = mean_field(net, torch.where(END, 0.5, tokens.double()), END, 8, 200, generator).white
    several = tokens.repeat(40, 1), white.repeat(40, 1)
    found = importance(net, several[1], END, generator)
    mean, error = float(found.nats.mean()), float(found.nats.std()) / 40**0.5
    assert mean == pytest.approx(exact.seen, abs=4 * error + 0.02)
    assert 1 < float(found.effective_samples.mean()) <= 500
    assert float(elbo(net, white, END, generator, 5_000)) <= exact.seen + 0.05


def test_pixels_of_a_lattice_share_no_probability_and_together_are_all() -> None:
    net = made({"neighbours": 24}, (1, 9, 16))
    hidden = torch.ones(9 * 16, dtype=torch.bool)
    total = torch.zeros(9 * 16, dtype=torch.int64)
    for members in lattices(net, hidden):
        total += members
        rows, columns = members.nonzero().flatten() // 16, members.nonzero().flatten() % 16
        far = ((rows[:, None] - rows).abs() >= 4) | ((columns[:, None] - columns).abs() >= 7)
        assert bool((far | torch.eye(len(rows), dtype=torch.bool)).all())
    assert total.tolist() == [1] * (9 * 16)


def test_log_odds_of_a_lattice_are_those_of_each_pixel_alone() -> None:
    net = made(SETTINGS[2], (1, 6, 10))
    tokens = torch.randint(2, (3, 60), generator=torch.Generator().manual_seed(0))
    members = next(iter(lattices(net, torch.ones(60, dtype=torch.bool))))
    assert int(members.sum()) == 4
    found = log_odds(net, tokens, members)
    for index, place in enumerate(members.nonzero().flatten().tolist()):
        both = tokens.clone(), tokens.clone()
        both[0][:, place], both[1][:, place] = 1, 0
        white, black = (nats_by_place(net, image).sum(1) for image in both)
        torch.testing.assert_close(found[:, index], white - black)


def test_ancestral_completions_keep_what_is_seen() -> None:
    net, tokens = made(SETTINGS[1]), seen_tokens().repeat(50, 1)
    drawn = ancestral(net, tokens, HOLE, torch.Generator().manual_seed(0))
    assert torch.equal(drawn[:, ~HOLE], tokens[:, ~HOLE]) and len(torch.unique(drawn, dim=0)) > 1


def test_the_entropy_of_a_factorised_posterior() -> None:
    white = torch.tensor([[0.5, 0.25, 1.0]]).double()
    hidden = torch.tensor([True, True, False])
    expected = torch.distributions.Bernoulli(white[:, :2]).entropy().sum(1)
    torch.testing.assert_close(entropy(white, hidden), expected)


def test_what_parents_leave_is_found_where_it_is_and_nothing_elsewhere() -> None:
    """Each pixel copies the one two rows above it nine times in ten: no parent of 3, all that there is to know with 8."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(400, 12, 12, generator=generator) < 0.5
    keep = torch.rand(400, 12, 12, generator=generator) < 0.9
    for row in range(2, 12):
        images[:, row] = torch.where(keep[:, row], images[:, row - 2], ~images[:, row - 2])
    found = conditional_information(images, 3)
    expected = 10 / 12 * 0.531  # of a bit: the first two rows are noise, and border pixels above them are black
    assert float(found[ABOVE - 2, ASIDE]) == pytest.approx(expected, abs=0.08)
    assert float(found[ABOVE, ASIDE - 2]) == pytest.approx(0, abs=2e-3)
    told = conditional_information(images, 8)
    assert bool(told[ABOVE - 2, ASIDE].isnan()) and float(told[~told.isnan()].abs().max()) < 0.03
