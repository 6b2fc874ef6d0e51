"""A prior over tokens: its law adds up, its draws follow it, and it learns which tokens go together."""

import itertools
import math
from pathlib import Path

import pytest
import torch

from models.dvae import networks
from models.dvae.config import Config
from models.dvae.generation import book, edits
from models.dvae.prior import Prior, bits_by_place, by_place, learn
from models.env import Env
from models.events import Curve, Images


@pytest.fixture
def chance() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def prior(size: int, rows: int, columns: int, scale: float = 1.0) -> Prior:
    """Its weights are so many times those that training begins with: the larger, the less even is its law."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        found = Prior(size, size, rows, columns, 16)
    found.see(torch.eye(size))
    with torch.no_grad():
        for weight in found.parameters():
            weight.mul_(scale)
    return found


@pytest.mark.parametrize(("size", "rows", "columns"), [(2, 2, 3), (3, 2, 2), (4, 1, 3)])
def test_the_law_adds_up_to_one_and_draws_follow_it(
    size: int, rows: int, columns: int, chance: torch.Generator
) -> None:
    """Over all maps of so few tokens; 20,000 draws, five standard errors."""
    net, n = prior(size, rows, columns, 3.0), 20_000
    every = torch.tensor(list(itertools.product(range(size), repeat=rows * columns))).view(-1, rows, columns)
    with torch.no_grad():
        law = torch.stack([2 ** (-net.bits(one[None]) * rows * columns) for one in every]).double()
    assert law.sum() == pytest.approx(1, abs=1e-4) and law.max() > 3 * law.min()
    drawn = net.draw(n, chance)
    assert drawn.shape == (n, rows, columns)
    weights = size ** torch.arange(rows * columns - 1, -1, -1)
    shares = torch.bincount((drawn.flatten(1) * weights).sum(1), minlength=len(every)) / n
    assert ((shares - law).abs() < 5 * (law * (1 - law) / n).sqrt() + 1e-6).all()


def test_it_learns_which_tokens_go_together(chance: torch.Generator) -> None:
    """The lower row repeats the upper one, whose tokens are tossed: one bit for every other token, and by place for each."""
    upper = torch.randint(2, (400, 1, 4), generator=chance)
    tokens = upper.expand(-1, 2, -1)
    net, env = prior(2, 2, 4), Env("digits", seed=0)
    events = list(learn(net, torch.eye(2), tokens[:300], tokens[300:], 150, env, 7))
    with torch.no_grad():
        assert float(net.bits(tokens[300:])) == pytest.approx(0.5, abs=0.06)
    assert bits_by_place(tokens[:300], tokens[300:], 2) == pytest.approx(1, abs=0.02)
    drawn = net.draw(200, chance)
    assert (drawn[:, 0] == drawn[:, 1]).float().mean() > 0.95
    assert (by_place(tokens, 200, chance)[:, 0] == by_place(tokens, 200, chance)[:, 1]).float().mean() < 0.6
    (curve,) = [event for event in events if isinstance(event, Curve)]
    assert curve.step == 7 and min(curve.lines["validation"]) == pytest.approx(0.5, abs=0.06)


def test_what_a_token_costs_by_place_by_hand() -> None:
    """Counted 3 and 1 times, and once more each: 4/6 and 2/6; at the second place always the same: 5/6."""
    tokens = torch.tensor([[[0, 1]], [[0, 1]], [[0, 1]], [[1, 1]]])
    held_out = torch.tensor([[[0, 1]], [[1, 1]]])
    bits = -(math.log2(4 / 6) + math.log2(2 / 6) + 2 * math.log2(5 / 6)) / 4
    assert bits_by_place(tokens, held_out, 2) == pytest.approx(bits)


def test_edits_lead_from_an_image_to_another_and_the_book_shows_every_code(tmp_path: Path) -> None:
    config = Config(width=4, blocks=0, codebook_size=5, code_dimension=3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = networks.network(config, (1, 8, 8))
    tokens = torch.randint(5, (20, 4, 4), generator=torch.Generator().manual_seed(0))
    (event,) = edits(network, tokens, 3)
    assert isinstance(event, Images)
    rows = event.images.view(6, 8, 1, 8, 8)
    assert torch.allclose(rows[:, 0], network.decode(tokens[:6]), atol=1e-6)
    assert torch.allclose(rows[:, 7], network.decode(tokens[6:12]), atol=1e-6)
    assert all(not torch.equal(rows[:, k], rows[:, k + 1]) for k in range(7))
    pages = {event.key: event for event in book(network, tokens, tokens, 3)}
    codes, use = pages["codes/book"], pages["codes/use"]
    assert isinstance(codes, Images) and isinstance(use, Curve)
    most = int(torch.bincount(tokens.flatten()).argmax())
    assert len(codes.images) == 5
    assert torch.allclose(codes.images[0], network.decode(torch.full((1, 4, 4), most))[0], atol=1e-6)
    assert sum(use.lines["codes"]) == pytest.approx(1) and use.lines["codes"] == sorted(use.lines["codes"])[::-1]
