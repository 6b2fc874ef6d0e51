"""f-divergences against closed forms: their values for Gaussians, their conjugates, and the critic that reaches the bound."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from models.gan import losses
from models.gan.config import Config
from models.gan.f_divergences import DIVERGENCES

NAMES = tuple(DIVERGENCES)
WIDTH = 1e-3
GRID = torch.arange(-14, 15, WIDTH, dtype=torch.float64)


def normal(mean: float) -> Tensor:
    """The density of N(mean, 1) on the grid."""
    return (-((GRID - mean) ** 2) / 2).exp() / math.sqrt(2 * math.pi)


CLOSED = {"kl": 0.5, "reverse_kl": 0.5, "pearson": math.e - 1, "hellinger": 2 - 2 * math.exp(-1 / 8)}


@pytest.mark.parametrize("name", CLOSED)
def test_the_divergence_of_two_gaussians_is_the_closed_form(name: str) -> None:
    assert float(DIVERGENCES[name].exact(normal(1), normal(0), WIDTH)) == pytest.approx(CLOSED[name], rel=1e-6)


def test_the_jensen_shannon_divergence_of_distant_gaussians_is_log_4_and_zero_of_equal_ones() -> None:
    jensen_shannon = DIVERGENCES["jensen_shannon"]
    assert float(jensen_shannon.exact(normal(7), normal(-7), WIDTH)) == pytest.approx(math.log(4), abs=1e-5)
    for name in NAMES:
        assert float(DIVERGENCES[name].exact(normal(1), normal(1), WIDTH)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_the_conjugate_is_the_largest_of_ut_minus_f(name: str) -> None:
    divergence = DIVERGENCES[name]
    ratios = torch.logspace(-4, 4, 200_001, dtype=torch.float64)
    for value in (-2.0, -0.5, 0.0, 0.4, 1.5):
        v = torch.tensor(value, dtype=torch.float64)
        largest = float((ratios * divergence.activation(v) - divergence.f(ratios)).max())
        assert float(divergence.conjugate(v)) == pytest.approx(largest, rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_the_slope_of_f_is_its_derivative(name: str) -> None:
    ratios = torch.tensor([0.1, 0.7, 1.0, 3.0], dtype=torch.float64, requires_grad=True)
    DIVERGENCES[name].f(ratios).sum().backward()  # type: ignore[no-untyped-call]
    assert ratios.grad is not None
    assert torch.allclose(ratios.grad, DIVERGENCES[name].slope(ratios.detach()))


@pytest.mark.parametrize("name", NAMES)
def test_the_best_critic_reaches_the_divergence_and_no_other_exceeds_it(name: str) -> None:
    """Of two distributions over four values, of which images are as many as their probabilities say."""
    real, fake = torch.tensor([0] * 4 + [1] * 3 + [2] * 2 + [3]), torch.tensor([0] + [1] * 2 + [2] * 3 + [3] * 4)
    p, q = (torch.bincount(values, minlength=4).double() / 10 for values in (real, fake))
    exact = float(DIVERGENCES[name].exact(p, q, 1.0))
    critic = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    config = Config(loss=name)  # type: ignore[arg-type]
    optimizer = torch.optim.LBFGS([critic], max_iter=200, tolerance_grad=1e-12)

    def loss() -> Tensor:
        optimizer.zero_grad()
        found = losses.critic_loss(config, critic[real], critic[fake])
        found.backward()  # type: ignore[no-untyped-call]
        return found

    optimizer.step(loss)
    bound = -float(losses.critic_loss(config, critic[real], critic[fake]).detach())
    assert bound == pytest.approx(exact, rel=1e-6)
    reached = DIVERGENCES[name].activation(critic.detach())
    assert torch.allclose(reached, DIVERGENCES[name].slope(p / q), rtol=1e-3, atol=1e-4)
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        other = critic.detach() + torch.randn(4, generator=generator)
        assert -float(losses.critic_loss(config, other[real], other[fake])) <= exact + 1e-9


def test_minimax_and_the_jensen_shannon_divergence_train_alike() -> None:
    """Their losses differ by constants, so their gradients do not; the non-saturating loss has another."""
    values = torch.tensor([-3.0, 0.2, 1.0])

    def gradient(loss: Any) -> Tensor:
        v = values.clone().requires_grad_()
        losses.generator_loss(Config(loss=loss), v).backward()  # type: ignore[no-untyped-call]
        assert v.grad is not None
        return v.grad * len(v)

    share = values.sigmoid()
    assert torch.allclose(gradient("minimax"), -share)
    assert torch.allclose(gradient("jensen_shannon"), -share)
    assert torch.allclose(gradient("bce"), share - 1)
    real = torch.tensor([0.5, -1.0])
    bound = -losses.critic_loss(Config(loss="jensen_shannon"), real, values)
    assert float(bound + losses.critic_loss(Config(loss="minimax"), real, values)) == pytest.approx(math.log(4))
