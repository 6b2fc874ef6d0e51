"""Noise schedules, the lists of times, and the three predictions."""

import pytest
import torch

from samplers import noise
from samplers.noise import Prediction

SPACINGS = ["uniform", "quadratic", "log_snr"]
NAMES = list(noise.SCHEDULES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("timesteps", [2, 50, 1000])
def test_a_schedule_begins_with_the_image_and_ends_in_noise(name: str, timesteps: int) -> None:
    schedule = noise.build(name, timesteps)
    assert schedule.timesteps == timesteps and schedule.alpha_bar[0] == 1
    assert (schedule.alpha_bar.diff() < 0).all()
    if timesteps >= 50:
        assert 0 < schedule.alpha_bar[-1] < 1e-3
        assert schedule.alpha_bar[1] > 0.98


def test_the_linear_schedule_is_the_published_one() -> None:
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    assert torch.allclose(noise.build("linear", 1000).alpha_bar[1:], (1 - betas).cumprod(0))


def test_bad_schedules_and_numbers_of_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="no noise schedule 'cosin'; there are: linear, cosine, sigmoid"):
        noise.build("cosin", 10)
    with pytest.raises(ValueError, match="at least two timesteps, not 1"):
        noise.build("cosine", 1)
    schedule = noise.build("cosine", 10)
    with pytest.raises(ValueError, match="takes 1 to 10 steps, not 11"):
        noise.times("uniform", schedule, 11)
    with pytest.raises(ValueError, match="no spacing 'cubic'"):
        noise.times("cubic", schedule, 5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("spacing", SPACINGS)
def test_times_begin_at_the_last_end_at_the_image_and_never_repeat(name: str, spacing: str) -> None:
    schedule = noise.build(name, 100)
    for steps in range(1, 101):
        times = noise.times(spacing, schedule, steps)
        assert len(times) == steps + 1 and times[0] == 100 and times[-1] == 0
        assert all(later > earlier for later, earlier in zip(times, times[1:], strict=False))


def test_spacings_are_dense_where_they_say() -> None:
    schedule = noise.build("linear", 1000)
    assert noise.times("uniform", schedule, 4) == [1000, 750, 500, 250, 0]
    assert noise.times("quadratic", schedule, 4) == [1000, 562, 250, 62, 0]
    log_snr = schedule.snr().log()[noise.times("log_snr", schedule, 8)[:-1]]
    assert log_snr.diff().std() < 0.1 * log_snr.diff().mean()


@pytest.mark.parametrize("prediction", ["epsilon", "v", "clean"])
def test_each_prediction_gives_back_image_and_noise(prediction: Prediction) -> None:
    schedule, generator = noise.build("cosine", 100), torch.Generator().manual_seed(0)
    clean, epsilon = torch.randn(2, 8, 1, 3, 3, generator=generator, dtype=torch.float64)
    times = torch.randint(1, 101, (8,), generator=generator)
    mixing = schedule.at_each(times, clean)
    x = noise.noised(clean, epsilon, mixing)
    output = noise.target(prediction, clean, epsilon, mixing)
    back = noise.clean_of(prediction, output, x, mixing)
    assert torch.allclose(back, clean, atol=1e-9)
    assert torch.allclose(noise.noise_of(back, x, mixing), epsilon, atol=1e-9)
    assert float(mixing.alpha[0]) == schedule.at(int(times[0])).alpha  # type: ignore[index]
