"""Energies that learn by denoising: the loss against closed forms, and what a training comes to."""

import math

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from models.ebm import training
from models.ebm.config import Config
from models.ebm.denoising_score import denoising_score, deviations
from models.env import Env
from models.events import Event, Scalars
from models.parts.effect import without_effect
from tests.support.playing import finished, gone_on

SMALL = {"blocks": 1, "width": 4, "n_steps": 10, "evaluation_samples": 32, "evaluations": 2, "start": "noise"}


def config(**changes: object) -> Config:
    return Config.model_validate(SMALL | {"objective": "denoising_score", "network_evaluations": 3 * 20} | changes)


def test_the_best_bowl_for_gaussian_data_takes_away_the_expected_noise() -> None:
    """Data N(0, s²) and noise σ: the noise that x + σε has on average is σ²/(s² + σ²) of it, so E = κx²/2 with that κ.

    There the loss of one dimension is s²/(s² + σ²), the variance of the noise that is not known, in units of σ².
    """
    generator, s, sigma, n = torch.Generator().manual_seed(0), 0.7, 0.5, 40_000
    data = s * torch.randn(n, 1, 1, 1, generator=generator)
    curvature = torch.tensor(sigma**2 / (s**2 + sigma**2), requires_grad=True)

    def bowl(x: Tensor) -> Tensor:
        return 0.5 * curvature * x.square().flatten(1).sum(1)

    denoised = denoising_score(bowl, data, torch.full((n,), sigma), generator)
    assert denoised.loss.item() == pytest.approx(s**2 / (s**2 + sigma**2), abs=4 * math.sqrt(2 / n))
    (slope,) = torch.autograd.grad(denoised.loss, curvature)
    assert abs(slope.item()) < 4 * 2 * math.sqrt((s**2 + sigma**2) / sigma**2 / n)
    assert denoised.images.abs().max() <= 1


def test_deviations_are_log_uniform() -> None:
    values = deviations(20_000, 0.05, 0.8, torch.Generator().manual_seed(0))
    assert 0.05 <= values.min() and values.max() <= 0.8
    assert float(values.median()) == pytest.approx(0.2, rel=0.05), "the geometric mean"


def test_a_training_learns_to_take_noise_away_without_chains(env: Env) -> None:
    """A loss of 64 is that of an energy without slope: one for each pixel of an image."""
    settings = config(width=8, network_evaluations=3 * 150, learning_rate=3e-3)
    events: list[Event] = []
    result = finished(training.train(settings, env), events.append)
    losses = [event.values["loss"] for event in events if isinstance(event, Scalars) and "loss" in event.values]
    assert losses[0] == pytest.approx(64, rel=0.3) and losses[-1] < 0.9 * losses[0]
    assert result.images is None and settings.updates == 150


def test_a_training_goes_on_from_a_checkpoint_bit_for_bit(env: Env) -> None:
    without, interrupted = gone_on(lambda state: training.train(config(), env, state), 7)
    first, second = ([event for event in events if isinstance(event, Scalars)] for events in (without, interrupted))
    assert first == second and len(first) > 2


def test_settings_of_chains_change_nothing_and_say_so(env: Env) -> None:
    changes: dict[str, object] = {"data_noise": 0.5, "noised": "both", "n_chains": 3, "energy_regularisation": 9.0}
    weights = [
        finished(training.train(config(network_evaluations=3 * 2, evaluations=1, **changed), env)).network.state_dict()
        for changed in ({}, changes)
    ]
    torch.testing.assert_close(*weights, rtol=0, atol=0)
    assert set(changes) <= set(without_effect(Config, {"objective": ["denoising_score"]}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"start": "replay"}, "take start=noise"), ({"least_noise": 2.0}, "above most_noise=1; swap them")],
)
def test_what_cannot_be_denoised_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        config(**changes)
