"""Sharpened distributions, and a study over a trained network."""

import math

import pytest
import torch

from models.autoregressive.config import ImageGPTConfig
from models.autoregressive.networks import network
from models.autoregressive.sampling import Sharpness, draw_tokens
from models.parts.training.optimisation import seeded_init

LOGITS = torch.tensor([[0.5, 0.3, 0.15, 0.05], [0.05, 0.15, 0.3, 0.5]]).log()


def law(sharpness: Sharpness) -> list[list[float]]:
    return [[round(p, 6) for p in row] for row in sharpness.apply(LOGITS).softmax(1).tolist()]


def test_by_default_nothing_is_changed() -> None:
    torch.testing.assert_close(Sharpness().apply(LOGITS).softmax(1), LOGITS.exp())


def test_a_temperature_of_one_half_squares_probabilities() -> None:
    squares = [0.25, 0.09, 0.0225, 0.0025]
    assert law(Sharpness(0.5))[0] == pytest.approx([p / sum(squares) for p in squares], abs=1e-6)


def test_only_the_k_likeliest_remain() -> None:
    assert law(Sharpness(top_k=2)) == [[0.625, 0.375, 0, 0], [0, 0, 0.375, 0.625]]
    assert law(Sharpness(top_k=1))[1] == [0, 0, 0, 1]
    assert law(Sharpness(top_k=9)) == law(Sharpness())


@pytest.mark.parametrize(("top_p", "remain"), [(0.4, 1), (0.51, 2), (0.79, 2), (0.81, 3), (1.0, 4), (1e-9, 1)])
def test_the_likeliest_tokens_remain_until_they_have_the_probability(top_p: float, remain: int) -> None:
    for row in law(Sharpness(top_p=top_p)):
        assert sum(p > 0 for p in row) == remain


def test_sharper_images_are_likelier_and_one_seed_draws_one_image() -> None:
    with seeded_init(0):
        net = network(ImageGPTConfig(width=8, layers=1, heads=1), (1, 4, 4)).eval()
        torch.nn.init.normal_(net.head.bias, 0, 1)
    plain, again, sharp = (
        draw_tokens(net, 200, torch.Generator().manual_seed(seed), Sharpness(temperature))
        for seed, temperature in ((1, 1.0), (1, 1.0), (1, 0.3))
    )
    assert torch.equal(plain, again)

    def bits(tokens: torch.Tensor) -> float:
        with torch.no_grad():
            chosen = net(tokens).log_softmax(2).gather(2, tokens[..., None])
        return -float(chosen.mean()) / math.log(2)

    assert bits(sharp) < bits(plain) - 0.05
