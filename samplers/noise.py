"""How images turn into noise: x_t = α_t x₀ + σ_t ε with α² + σ² = 1, from t = 0 (the image) to t = T (noise).

ᾱ_t = α_t² is a product of 1 − β. Its names: ``linear`` (Ho et al. 2020, arXiv:2006.11239, with β for any T), ``cosine`` (Nichol
and Dhariwal 2021, arXiv:2102.09672), ``sigmoid`` (Jabri et al. 2022, arXiv:2212.11972).
"""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Prediction = Literal["epsilon", "v", "clean"]
"""What a network says of x_t: the noise ε, v = α ε − σ x₀ (Salimans and Ho 2022, arXiv:2202.00512), or the image x₀."""

LARGEST_BETA = 0.999  # else the last step of a schedule that ends in noise alone would divide by 0


class Mixing(NamedTuple):
    """The shares of image and noise at a time: numbers, or a value for each chain."""

    alpha: float | Tensor
    sigma: float | Tensor


class NoiseSchedule(NamedTuple):
    """ᾱ at the times 0 … T, float64 (T + 1,): 1 at first, and always less."""

    alpha_bar: Tensor

    @property
    def timesteps(self) -> int:
        """T."""
        return len(self.alpha_bar) - 1

    def at(self, time: int) -> Mixing:
        """α and σ at one time for all chains."""
        alpha_bar = float(self.alpha_bar[time])
        return Mixing(math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar))

    def at_each(self, times: Tensor, like: Tensor) -> Mixing:
        """α and σ at a time for each chain, times (chains,), as (chains, 1, …) to multiply ``like`` (chains, *shape)."""
        alpha_bar = self.alpha_bar.to(like.device)[times].view(-1, *[1] * (like.dim() - 1))
        return Mixing(alpha_bar.sqrt().to(like.dtype), (1 - alpha_bar).sqrt().to(like.dtype))

    def snr(self) -> Tensor:
        """Signal to noise ᾱ / (1 − ᾱ) at all times (T + 1,), float64; infinite at 0."""
        return self.alpha_bar / (1 - self.alpha_bar)


def _from_betas(betas: Tensor) -> NoiseSchedule:
    alpha_bar = (1 - betas.clamp(max=LARGEST_BETA)).cumprod(0)
    return NoiseSchedule(torch.cat([torch.ones(1, dtype=torch.float64), alpha_bar]))


def _from_alpha_bar(curve: Callable[[Tensor], Tensor], timesteps: int) -> NoiseSchedule:
    """Of ᾱ as a function on [0, 1], up to a factor; no step removes more than ``LARGEST_BETA``."""
    values = curve(torch.linspace(0, 1, timesteps + 1, dtype=torch.float64))
    return _from_betas(1 - values[1:] / values[:-1])


def _linear(timesteps: int) -> NoiseSchedule:
    scale = 1_000 / timesteps
    return _from_betas(torch.linspace(1e-4 * scale, 0.02 * scale, timesteps, dtype=torch.float64))


def _cosine(timesteps: int) -> NoiseSchedule:
    return _from_alpha_bar(lambda t: ((t + 0.008) / 1.008 * math.pi / 2).cos().square(), timesteps)


def _sigmoid(timesteps: int) -> NoiseSchedule:
    return _from_alpha_bar(lambda t: (-6 * t + 3).sigmoid() - torch.tensor(-3.0).double().sigmoid(), timesteps)


SCHEDULES: dict[str, Callable[[int], NoiseSchedule]] = {"linear": _linear, "cosine": _cosine, "sigmoid": _sigmoid}


def build(name: str, timesteps: int) -> NoiseSchedule:
    """The schedule called ``name`` with T = ``timesteps``; ValueError for an unknown name and for T < 2."""
    if name not in SCHEDULES:
        raise ValueError(f"no noise schedule '{name}'; there are: {', '.join(SCHEDULES)}")
    if timesteps < 2:
        raise ValueError(f"a noise schedule needs at least two timesteps, not {timesteps}")
    return SCHEDULES[name](timesteps)


def noised(clean: Tensor, noise: Tensor, mixing: Mixing) -> Tensor:
    """x_t of images and noise of one shape."""
    return mixing.alpha * clean + mixing.sigma * noise


def target(prediction: Prediction, clean: Tensor, noise: Tensor, mixing: Mixing) -> Tensor:
    """What a network has to say of x_t."""
    if prediction == "epsilon":
        return noise
    return clean if prediction == "clean" else mixing.alpha * noise - mixing.sigma * clean


def clean_of(prediction: Prediction, output: Tensor, x: Tensor, mixing: Mixing) -> Tensor:
    """x̂₀ by the output of a network for ``x``. With ε it is divided by α, so errors are huge near t = T."""
    if prediction == "clean":
        return output
    if prediction == "v":
        return mixing.alpha * x - mixing.sigma * output
    return (x - mixing.sigma * output) / mixing.alpha


def noise_of(clean: Tensor, x: Tensor, mixing: Mixing) -> Tensor:
    """ε̂ that belongs to x̂₀ at ``x``; σ is above 0."""
    return (x - mixing.alpha * clean) / mixing.sigma


def times(spacing: str, schedule: NoiseSchedule, steps: int) -> list[int]:
    """The ``steps`` + 1 times of a sampler, from T down to 0, no two alike.

    ``uniform``; ``quadratic``: dense near the image, as in DDIM's code; ``log_snr``: uniform in the logarithm of signal to
    noise between T and 1. ValueError for an unknown name and for steps that are not 1 … T.
    """
    last = schedule.timesteps
    if not 1 <= steps <= last:
        raise ValueError(f"a sampler of a schedule with {last} timesteps takes 1 to {last} steps, not {steps}")
    shares = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    if spacing == "uniform":
        places = shares * last
    elif spacing == "quadratic":
        places = shares.square() * last
    elif spacing == "log_snr":
        places = _log_snr_places(schedule, steps)
    else:
        raise ValueError(f"no spacing '{spacing}'; there are: uniform, quadratic, log_snr")
    ascending = [0]
    for index, place in enumerate(places[1:].round().int().tolist(), 1):
        ascending.append(min(max(place, ascending[-1] + 1), last - (steps - index)))
    return ascending[::-1]


def _log_snr_places(schedule: NoiseSchedule, steps: int) -> Tensor:
    log_snr = schedule.snr()[1:].log()
    wanted = torch.linspace(float(log_snr[0]), float(log_snr[-1]), steps, dtype=torch.float64)
    nearest = (log_snr[None] - wanted[:, None]).abs().argmin(1) + 1
    if steps == 1:
        nearest = torch.tensor([schedule.timesteps])
    return torch.cat([torch.zeros(1), nearest.double()])
