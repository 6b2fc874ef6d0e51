"""The calibration error and the temperature, on labels drawn from known probabilities."""

import math

import pytest
import torch

from models.parts.evaluation import calibration


def test_by_hand() -> None:
    """Four answers given with 0.9, three of them right: off by 0.15."""
    logits = torch.tensor([0.9, 0.1]).log().expand(4, 2)
    assert calibration.error(logits, torch.tensor([0, 0, 0, 1])) == pytest.approx(0.15, abs=1e-6)


def test_labels_drawn_from_their_probabilities_are_calibrated_and_too_bold_ones_are_not() -> None:
    """20,000 draws in 15 bins: the mean of |error| over bins is near √(2/π · 15 · 0.2 / 20,000) ≈ 0.01 at most."""
    chance = torch.Generator().manual_seed(0)
    logits = torch.randn(20_000, 5, generator=chance)
    labels = torch.multinomial(logits.softmax(1), 1, generator=chance)[:, 0]
    assert calibration.error(logits, labels) < 0.015
    assert calibration.error(logits * 5, labels) > 0.2
    assert calibration.error(logits / 10, labels) > 0.1


@pytest.mark.parametrize("scale", [1e-3, 0.5, 3.0])
def test_the_temperature_that_labels_were_drawn_at_is_found(scale: float) -> None:
    """Its relative deviation is 1 / √(n · variance of the logit under p) ≈ 1 %."""
    chance = torch.Generator().manual_seed(1)
    logits = torch.randn(20_000, 4, generator=chance)
    labels = torch.multinomial(logits.softmax(1), 1, generator=chance)[:, 0]
    assert calibration.temperature(logits * scale, labels) == pytest.approx(scale, rel=0.05)


def test_reliability_by_hand() -> None:
    """Two classes; confidences 0.62 (right, wrong, right) and 0.99 (right): bins 9 and 14 of 15, counted from 0."""
    odds = torch.tensor([0.62, 0.62, 0.62, 0.99], dtype=torch.float64)
    logits = torch.stack([odds.log(), (1 - odds).log()], 1)
    middles, accuracy = calibration.reliability(logits, torch.tensor([0, 1, 0, 0]))
    assert middles[0] == pytest.approx(1 / 30) and middles[-1] == pytest.approx(29 / 30)
    assert accuracy[9] == pytest.approx(2 / 3) and accuracy[14] == 1
    assert sum(math.isfinite(value) for value in accuracy) == 2
    _, of_three = calibration.reliability(logits, torch.tensor([0, 1, 0, 0]), least=3)
    assert of_three[9] == accuracy[9] and math.isnan(of_three[14]), "one image says nothing"
