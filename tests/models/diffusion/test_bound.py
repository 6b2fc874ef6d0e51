"""The bound against data whose likelihood is known: Gaussians, with the best denoiser."""

import math

import pytest
import torch
from torch import Tensor

from models.diffusion.bound import bound, level_decoder
from models.diffusion.config import Config
from models.diffusion.losses import clean_error_weights, decoder_variance, weights
from samplers import noise

VARIANCE = 0.3


def best(schedule: noise.NoiseSchedule, x: Tensor, time: int) -> Tensor:
    """E[x₀ | x_t] of independent pixels N(0, VARIANCE)."""
    alpha, sigma = schedule.at(time)
    mean: Tensor = x * (alpha * VARIANCE / (alpha**2 * VARIANCE + sigma**2))
    return mean


def even(timesteps: int) -> noise.NoiseSchedule:
    """A schedule whose logarithm of signal to noise falls by the same at each step."""
    log_snr = torch.linspace(8, -10, timesteps, dtype=torch.float64)
    return noise.NoiseSchedule(torch.cat([torch.ones(1, dtype=torch.float64), log_snr.sigmoid()]))


def test_the_bound_of_a_gaussian_with_the_best_denoiser_is_its_negative_log_likelihood() -> None:
    """In the limit of many timesteps: from above, with an excess that falls as one over their number.

    It is that of β̃, which is less than the variance of the true posterior.
    """
    generator = torch.Generator().manual_seed(0)
    images = VARIANCE**0.5 * torch.randn(1_000, 1, 4, 4, generator=generator, dtype=torch.float64)
    exact = (images.square() / VARIANCE + math.log(2 * math.pi * VARIANCE)).flatten(1).sum(1) / 2
    excess = []
    for timesteps in (400, 1_600):
        schedule = even(timesteps)
        alpha, sigma = schedule.at(1)
        left = 1 / (1 / VARIANCE + alpha**2 / sigma**2)  # variance of an image given x_1

        def decoder(clean: Tensor, images: Tensor, left: float = left) -> Tensor:
            squares = (clean - images).square() / left + math.log(2 * math.pi * left)
            return squares.flatten(1).sum(1) / 2

        def denoiser(x: Tensor, time: int, schedule: noise.NoiseSchedule = schedule) -> Tensor:
            return best(schedule, x, time)

        parts = bound(denoiser, schedule, images, decoder, timesteps, generator)
        assert parts.times == list(range(2, timesteps + 1))
        assert float(parts.steps.mean()) == pytest.approx(sum(parts.by_time), rel=1e-6)
        excess.append(float((parts.nats - exact).mean()))
    assert 0 < excess[1] < 0.6 and excess[0] / excess[1] == pytest.approx(4, rel=0.35), excess


def test_some_times_give_the_sum_over_all_without_bias() -> None:
    schedule, generator = noise.build("linear", 100), torch.Generator().manual_seed(0)
    images = VARIANCE**0.5 * torch.randn(500, 1, 2, 2, generator=generator, dtype=torch.float64)

    def steps(most: int) -> float:
        parts = bound(
            lambda x, t: best(schedule, x, t), schedule, images, lambda a, b: a.flatten(1).sum(1), most, generator
        )
        assert len(parts.times) <= most
        return float(parts.steps.mean())

    whole = steps(99)
    estimates = torch.tensor([steps(10) for _ in range(200)])
    assert abs(float(estimates.mean()) - whole) < 4 * float(estimates.std()) / 200**0.5 + 0.02 * whole


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_probabilities_of_all_levels_sum_to_one(levels: int) -> None:
    schedule = noise.build("cosine", 100)
    values = torch.linspace(-1, 1, levels).view(-1, 1, 1, 1)
    decoder = level_decoder(schedule, levels)
    for clean in (-1.0, -0.3, 0.02, 1.0):
        mass = (-decoder(torch.full_like(values, clean), values)).exp()
        assert float(mass.sum()) == pytest.approx(1, abs=1e-4)
    far = decoder(torch.full((1, 1, 1, 1), -1.0), torch.ones(1, 1, 1, 1))
    assert far.isfinite().all() and float(far) > 100


def test_what_a_time_adds_to_the_bound_is_the_divergence_of_two_posteriors() -> None:
    """Of DDPM's posterior given the image from that given x̂₀: Gaussians with one variance β̃ and means apart."""
    schedule, time = noise.build("cosine", 50), 20
    now, before = (float(schedule.alpha_bar[t]) for t in (time, time - 1))
    beta = 1 - now / before
    variance = (1 - before) / (1 - now) * beta
    slope = before**0.5 * beta / (1 - now)  # of the posterior's mean in the image
    assert float(clean_error_weights(schedule)[time - 1]) == pytest.approx(slope**2 / (2 * variance))
    assert float(clean_error_weights(schedule)[0]) == pytest.approx(1 / (2 * decoder_variance(schedule)))


@pytest.mark.parametrize("weight", ["min_snr", "bound"])
def test_a_weight_means_the_same_for_each_prediction(weight: str) -> None:
    """The three errors of one mistake in x̂₀, each with its weight, are one number at all times."""
    schedule = noise.build("cosine", 60)
    times = torch.arange(1, 61)
    clean, epsilon, mistake = torch.randn(3, 60, 1, dtype=torch.float64)
    mixing = schedule.at_each(times, clean)
    x = noise.noised(clean, epsilon, mixing)
    wrong, losses = clean + mistake, []
    for prediction in ("epsilon", "v", "clean"):
        config = Config(prediction=prediction, weight=weight, schedule="cosine", timesteps=60)  # type: ignore[arg-type]
        right = noise.target(prediction, clean, epsilon, mixing)  # type: ignore[arg-type]
        said = noise.target(prediction, wrong, noise.noise_of(wrong, x, mixing), mixing)  # type: ignore[arg-type]
        losses.append(weights(config, schedule)[1:, None] * (said - right).square())
    assert torch.allclose(losses[0], losses[1], rtol=1e-4) and torch.allclose(losses[1], losses[2], rtol=1e-4)


def test_the_simple_weight_is_one_for_what_is_predicted() -> None:
    for prediction in ("epsilon", "v", "clean"):
        config = Config(prediction=prediction, weight="simple")  # type: ignore[arg-type]
        assert weights(config, noise.build("cosine", 200))[1:].eq(1).all()
