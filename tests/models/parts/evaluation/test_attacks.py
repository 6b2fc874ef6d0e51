"""Attacks on a linear classifier, where the worst within ε is known, and on images at the edge of what a pixel can be."""

import pytest
import torch
from torch import Tensor, nn

from models.parts.evaluation import attacks

WEIGHTS = torch.tensor([1.0, -2.0, 0.5])


class Linear(nn.Module):
    """Two classes, told apart by the sign of w · x."""

    def forward(self, x: Tensor) -> Tensor:
        margin = x.flatten(1) @ WEIGHTS
        return torch.stack([-margin, margin], 1)


def chance() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_accuracy_is_the_share_of_margins_beyond_what_the_attack_can_take() -> None:
    """w · x moves by at most ε‖w‖₁, and both attacks find that."""
    x = (torch.rand(1000, 3, 1, 1, generator=chance()) - 0.5) * 0.8
    margins = x.flatten(1) @ WEIGHTS
    labels = (margins > 0).long()
    epsilons = [0.0, 0.05, 0.2]
    expected = [float((margins.abs() > epsilon * WEIGHTS.abs().sum()).float().mean()) for epsilon in epsilons]
    assert expected[0] == 1 and 0.1 < expected[2] < 0.9
    found = attacks.accuracies(Linear(), x, labels, epsilons, chance())
    assert found["FGSM"] == pytest.approx(expected)
    assert found["PGD"] == pytest.approx(expected)


def test_images_stay_within_reach_and_within_what_a_pixel_can_be() -> None:
    x = torch.rand(64, 3, 1, 1, generator=chance()) * 2 - 1
    labels = torch.arange(64) % 2
    for moved in (attacks.fgsm(Linear(), x, labels, 0.3), attacks.pgd(Linear(), x, labels, 0.3, chance())):
        assert moved.abs().max() == 1
        assert (moved - x).abs().max() <= 0.3 + 1e-6


def test_weights_get_no_gradients() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))
    attacks.accuracies(net, torch.zeros(4, 3, 1, 1), torch.zeros(4, dtype=torch.int64), [0.1], chance())
    assert all(weight.grad is None for weight in net.parameters())
