"""Images from noise by a denoiser, step by step from t = T to t = 0.

A denoiser says x̂₀, the mean of the images that could have become x_t. All samplers are kernels whose step k goes from
``times[k]`` to ``times[k + 1]``; they draw no noise where they are deterministic. ``evaluations`` is the price of a step; the
last one, to t = 0, has no second evaluation and no correction.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from samplers import langevin
from samplers.kernel import Energy, Kernel, standard_normal
from samplers.noise import Mixing, NoiseSchedule, noise_of

Denoiser = Callable[[Tensor, int], Tensor]
"""x_t (chains, *shape) and its time t >= 1 -> x̂₀ of the same shape."""

Clip = Callable[[Tensor], Tensor]

QUANTILE = 0.995  # of |x̂₀| of an image, beyond which it is cut (Saharia et al. 2022, arXiv:2205.11487)


def _cut(clean: Tensor) -> Tensor:
    return clean.clamp(-1, 1)


def _cut_at_quantile(clean: Tensor) -> Tensor:
    """Each image is cut at a quantile of its own absolute values, if that is above 1, and divided by it."""
    flat = clean.flatten(1)
    limit = flat.abs().quantile(QUANTILE, dim=1, keepdim=True).clamp_min(1)
    return (flat.clamp(-limit, limit) / limit).view_as(clean)


CLIPS: dict[str, Clip] = {"on": _cut, "off": lambda clean: clean, "quantile": _cut_at_quantile}


class State(NamedTuple):
    """Where chains are between two times, with the denoised images of the step before, for a method of two steps."""

    position: Tensor  # (chains, *shape)
    step: int
    before: Tensor | None = None


class Info(NamedTuple):
    """What a step saw at the position that it left."""

    clean: Tensor  # x̂₀ (chains, *shape), after clipping


def guided(with_label: Denoiser, without: Denoiser, weight: float) -> Denoiser:
    """(1 + w) x̂₀(x, label) − w x̂₀(x): classifier-free guidance (Ho and Salimans 2022, arXiv:2207.12598), two evaluations.

    At the same x the same combination of ε̂, of v̂ and of x̂₀ is one thing.
    """
    return lambda x, time: (1 + weight) * with_label(x, time) - weight * without(x, time)


def posterior_deviation(schedule: NoiseSchedule, time: int, earlier: int) -> float:
    """Of x at the time ``earlier`` when x_t and x₀ are known: √β̃, for any two times."""
    now, then = float(schedule.alpha_bar[time]), float(schedule.alpha_bar[earlier])
    return math.sqrt((1 - then) / (1 - now) * (1 - now / then))


def ddim(
    denoiser: Denoiser, schedule: NoiseSchedule, times: Sequence[int], eta: float = 0.0, clip: Clip = CLIPS["on"]
) -> Kernel:
    """Song et al. 2021, arXiv:2010.02502, equation 12: ``eta`` = 0 is deterministic, 1 is DDPM with the variance β̃."""
    return _ancestral(
        denoiser, schedule, times, clip, lambda time, then: (eta * posterior_deviation(schedule, time, then),) * 2
    )


def ddpm(
    denoiser: Denoiser, schedule: NoiseSchedule, times: Sequence[int], large: bool = True, clip: Clip = CLIPS["on"]
) -> Kernel:
    """Ho et al. 2020: the mean of the posterior, and noise of the variance β (``large``) or β̃. The last step draws none.

    For strides, β is 1 − ᾱ_t / ᾱ_s, which DDIM's paper calls σ̂². β is right for data N(0, I), β̃ for a single image.
    """

    def deviations(time: int, then: int) -> tuple[float, float]:
        small = posterior_deviation(schedule, time, then)
        ratio = float(schedule.alpha_bar[time] / schedule.alpha_bar[then])
        return small, math.sqrt(1 - ratio) if large and then > 0 else small

    return _ancestral(denoiser, schedule, times, clip, deviations)


def _ancestral(
    denoiser: Denoiser,
    schedule: NoiseSchedule,
    times: Sequence[int],
    clip: Clip,
    deviations: Callable[[int, int], tuple[float, float]],
) -> Kernel:
    """x_s = α_s x̂₀ + √(σ_s² − ς²) ε̂ + noise; ``deviations`` are ς, and that of the noise."""

    def step(state: State, generator: Generator) -> tuple[State, Info]:
        x, (time, then) = state.position, _leg(times, state.step)
        now, next_ = schedule.at(time), schedule.at(then)
        clean = clip(denoiser(x, time))
        removed, added = deviations(time, then)
        direction = math.sqrt(max(0.0, float(next_.sigma) ** 2 - removed**2))
        x = next_.alpha * clean + direction * noise_of(clean, x, now)
        if added > 0:
            x = x + added * standard_normal(x, generator)
        return State(x, state.step + 1), Info(clean)

    return Kernel(_start, step)


def heun(denoiser: Denoiser, schedule: NoiseSchedule, times: Sequence[int], clip: Clip = CLIPS["on"]) -> Kernel:
    """Heun's method of order 2 for the probability-flow equation dx/dφ = α ε̂ − σ x̂₀, with α = cos φ and σ = sin φ.

    Karras et al. 2022, arXiv:2206.00364, step in σ/α, which has no bounds near t = T; the angle has. Two evaluations a step,
    but one for a step to t = 0, which is DDIM's: there is no noise to be predicted.
    """

    def step(state: State, generator: Generator) -> tuple[State, Info]:
        x, (time, then) = state.position, _leg(times, state.step)
        now, next_ = schedule.at(time), schedule.at(then)
        clean = clip(denoiser(x, time))
        epsilon = noise_of(clean, x, now)
        end = next_.alpha * clean + next_.sigma * epsilon
        if then > 0:
            later = clip(denoiser(end, then))
            slope = now.alpha * epsilon - now.sigma * clean
            slope = slope + next_.alpha * noise_of(later, end, next_) - next_.sigma * later
            end = x + (math.atan(_ratio(next_)) - math.atan(_ratio(now))) / 2 * slope
        return State(end, state.step + 1), Info(clean)

    return Kernel(_start, step, 2)


def dpm_solver(denoiser: Denoiser, schedule: NoiseSchedule, times: Sequence[int], clip: Clip = CLIPS["on"]) -> Kernel:
    """DPM-Solver++(2M) of order 2 (Lu et al. 2022, arXiv:2211.01095): it remembers x̂₀ of the step before, so one evaluation.

    The first step, and one to t = 0, where the logarithm of signal to noise is infinite, are of order 1.
    """

    def step(state: State, generator: Generator) -> tuple[State, Info]:
        x, (time, then) = state.position, _leg(times, state.step)
        now, next_ = schedule.at(time), schedule.at(then)
        clean = clip(denoiser(x, time))
        if then == 0:
            return State(next_.alpha * clean, state.step + 1), Info(clean)
        h = math.log(_ratio(now) / _ratio(next_))
        extrapolated = clean
        if state.before is not None:
            share = h / (2 * math.log(_ratio(schedule.at(times[state.step - 1])) / _ratio(now)))
            extrapolated = (1 + share) * clean - share * state.before
        x = next_.sigma / now.sigma * x - next_.alpha * math.expm1(-h) * extrapolated
        return State(x, state.step + 1, clean), Info(clean)

    return Kernel(_start, step)


def corrected(
    predictor: Kernel,
    denoiser: Denoiser,
    schedule: NoiseSchedule,
    times: Sequence[int],
    size: float,
    corrections: int = 1,
    clip: Clip = CLIPS["on"],
) -> Kernel:
    """Predictor and corrector (Song et al. 2021, arXiv:2011.13456): Langevin steps at each time but 0, by ∇log p = −ε̂/σ.

    The step size is ``size`` · σ². Each correction is an evaluation.
    """

    def step(state: State, generator: Generator) -> tuple[State, Info]:
        state, info = predictor.step(state, generator)
        then = times[state.step]
        if then == 0:
            return state, info
        mixing = schedule.at(then)
        kernel = langevin.build(score_energy(denoiser, then, mixing, clip), size * float(mixing.sigma) ** 2)
        walk = kernel.init(state.position)
        for _ in range(corrections):
            walk, _ = kernel.step(walk, generator)
        return state._replace(position=walk.position), info

    return Kernel(predictor.init, step, predictor.evaluations + corrections)


def score_energy(denoiser: Denoiser, time: int, mixing: Mixing, clip: Clip = CLIPS["off"]) -> Energy:
    """What Langevin's kernel needs: its gradient is ε̂/σ, the negative score of x_t. Its value means nothing."""

    def energy(x: Tensor) -> Tensor:
        with torch.no_grad():
            gradient = noise_of(clip(denoiser(x, time)), x, mixing) / mixing.sigma
        return (gradient * x).flatten(1).sum(1)

    return energy


def _start(x: Tensor) -> State:
    return State(x.detach(), 0)


def _leg(times: Sequence[int], step: int) -> tuple[int, int]:
    return times[step], times[step + 1]


def _ratio(mixing: Mixing) -> float:
    return float(mixing.sigma) / float(mixing.alpha)
