"""Samplers of a denoiser against data whose best denoiser is known: Gaussians, N(0, I) and a single image."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from samplers import denoising, noise
from samplers.denoising import CLIPS, Denoiser
from samplers.kernel import Kernel, iterate, run, standard_normal
from samplers.noise import NoiseSchedule
from tests.samplers.targets import COVARIANCE, MEAN, assert_gaussian, generator

OFF = CLIPS["off"]
SCHEDULE = noise.build("cosine", 400)
C, M = COVARIANCE.double(), MEAN.double()


def best(schedule: NoiseSchedule = SCHEDULE, covariance: Tensor = C, mean: Tensor = M) -> Denoiser:
    """E[x₀ | x_t] of data N(mean, covariance)."""

    def denoiser(x: Tensor, time: int) -> Tensor:
        alpha, sigma = schedule.at(time)
        gain = alpha * covariance @ torch.linalg.inv(alpha**2 * covariance + sigma**2 * torch.eye(len(mean)))
        return mean + (x - alpha * mean) @ gain.T

    return denoiser


def start(n: int) -> Tensor:
    return torch.randn(n, 2, generator=generator(3), dtype=torch.float64)


def ends(kernel: Kernel, x: Tensor, steps: int) -> Tensor:
    return run(kernel, x, steps, generator())[0]


EXACT: dict[str, Callable[[Denoiser, list[int]], Kernel]] = {
    "ddim": lambda d, times: denoising.ddim(d, SCHEDULE, times, 0.0, OFF),
    "ddim, half": lambda d, times: denoising.ddim(d, SCHEDULE, times, 0.5, OFF),
    "ddim, eta 1": lambda d, times: denoising.ddim(d, SCHEDULE, times, 1.0, OFF),
    "ddpm": lambda d, times: denoising.ddpm(d, SCHEDULE, times, True, OFF),
    "heun": lambda d, times: denoising.heun(d, SCHEDULE, times, OFF),
    "dpm_solver": lambda d, times: denoising.dpm_solver(d, SCHEDULE, times, OFF),
    "corrected": lambda d, times: denoising.corrected(
        denoising.ddim(d, SCHEDULE, times, 0.0, OFF), d, SCHEDULE, times, 0.05, 1, OFF
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_many_steps_with_the_best_denoiser_have_the_law_of_the_data(name: str) -> None:
    times = noise.times("uniform", SCHEDULE, 400)
    x = ends(EXACT[name](best(), times), start(8_000), 400)
    assert_gaussian(x, M, C, errors=4.5)


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_the_two_variances_of_ddpm_are_exact_for_the_two_kinds_of_data_that_they_are_made_for(steps: int) -> None:
    """β for N(0, I), at any number of steps but for the last, which draws no noise; β̃ for one image."""
    times = noise.times("uniform", SCHEDULE, steps + 1)
    unit = best(covariance=torch.eye(2, dtype=torch.float64), mean=torch.zeros(2, dtype=torch.float64))
    *positions, _ = iterate(denoising.ddpm(unit, SCHEDULE, times, True, OFF), start(8_000), steps + 1, generator())
    assert_gaussian(positions[-1][0], torch.zeros(2).double(), torch.eye(2).double())
    point = best(covariance=torch.zeros(2, 2, dtype=torch.float64))
    begun = SCHEDULE.at(400).alpha * M + SCHEDULE.at(400).sigma * start(8_000)
    *positions, end = iterate(denoising.ddpm(point, SCHEDULE, times, False, OFF), begun, steps + 1, generator())
    mixing = SCHEDULE.at(times[-2])
    assert_gaussian(positions[-1][0], mixing.alpha * M, float(mixing.sigma) ** 2 * torch.eye(2).double())
    assert torch.allclose(end[0], M.expand(8_000, 2))


def exact_flow(x: Tensor, schedule: NoiseSchedule, time: int, then: int) -> Tensor:
    """Where the probability-flow equation takes x_t for Gaussian data: each deviation grows as that of the marginal."""
    values, vectors = torch.linalg.eigh(C)

    def deviations(at: int) -> Tensor:
        alpha, sigma = schedule.at(at)
        return (alpha**2 * values + sigma**2).sqrt()

    centred = (x - schedule.at(time).alpha * M) @ vectors
    return centred * deviations(then) / deviations(time) @ vectors.T + schedule.at(then).alpha * M


@pytest.mark.parametrize(
    ("sampler", "order"),
    [(denoising.ddim, 1), (denoising.heun, 2), (denoising.dpm_solver, 2)],
)
def test_each_solver_converges_at_its_order(sampler: Any, order: int) -> None:
    """Between two times inside the schedule: the error falls as the step to its order."""
    schedule, x = noise.build("cosine", 4096), start(50)
    first, last = 3584, 1024
    exact = exact_flow(x, schedule, first, last)
    errors = []
    for steps in (20, 40, 80):
        stride = (first - last) // steps
        times = list(range(first, last - 1, -stride))
        kernel = sampler(best(schedule), schedule, times, clip=OFF)
        errors.append(float((ends(kernel, x, steps) - exact_flow(x, schedule, first, times[-1])).norm()))
    rates = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert rates[-1] == pytest.approx(order, abs=0.25), (errors, exact.norm())


def test_the_deterministic_inversion_comes_back() -> None:
    """x_T → x_0 by many steps is the exact flow, so each image has one noise."""
    times = noise.times("uniform", SCHEDULE, 400)
    x = start(50)
    reached = ends(denoising.ddim(best(), SCHEDULE, times, 0.0, OFF), x, 400)
    assert torch.allclose(reached, exact_flow(x, SCHEDULE, 400, 0), atol=0.02)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("time", "then"), [(400, 300), (300, 299), (50, 3)])
def test_noise_at_an_earlier_time_has_the_same_law_for_every_eta(eta: float, time: int, then: int) -> None:
    """q(x_s | x₀) of the non-Markovian process: if x_t has its law, so has x_s, whatever η."""
    clean = torch.tensor([0.4, -0.7], dtype=torch.float64)
    now, earlier = SCHEDULE.at(time), SCHEDULE.at(then)
    x = now.alpha * clean + now.sigma * start(20_000)
    kernel = denoising.ddim(lambda x, t: clean.expand_as(x), SCHEDULE, [time, then], eta, OFF)
    expected = float(earlier.sigma) ** 2 * torch.eye(2).double()
    assert_gaussian(ends(kernel, x, 1), earlier.alpha * clean, expected)


def test_a_step_with_eta_one_is_the_posterior_of_ddpm() -> None:
    """Ho et al. 2020, equations 6 and 7, for neighbouring times."""
    time, clean, x = 120, start(4), start(4).flip(0)
    kernel = denoising.ddim(lambda _, t: clean, SCHEDULE, [time, time - 1], 1.0, OFF)
    alpha_bar, before = (float(SCHEDULE.alpha_bar[t]) for t in (time, time - 1))
    beta = 1 - alpha_bar / before
    mean = before**0.5 * beta / (1 - alpha_bar) * clean + (1 - beta) ** 0.5 * (1 - before) / (1 - alpha_bar) * x
    drawn = standard_normal(x, generator())
    expected = mean + math.sqrt((1 - before) / (1 - alpha_bar) * beta) * drawn
    assert torch.allclose(ends(kernel, x, 1), expected)
    ddpm = denoising.ddpm(lambda _, t: clean, SCHEDULE, [time, time - 1], False, OFF)
    assert torch.equal(ends(ddpm, x, 1), ends(kernel, x, 1))
    large = denoising.ddpm(lambda _, t: clean, SCHEDULE, [time, time - 1], True, OFF)
    assert torch.allclose(ends(large, x, 1), mean + math.sqrt(beta) * drawn)


def test_the_score_of_a_gaussian_is_the_negative_gradient_of_the_energy_that_langevin_gets() -> None:
    mixing, x = SCHEDULE.at(200), start(10).requires_grad_()
    energy = denoising.score_energy(best(), 200, mixing)
    (gradient,) = torch.autograd.grad(energy(x).sum(), x)
    covariance = mixing.alpha**2 * C + mixing.sigma**2 * torch.eye(2)
    expected = (x.detach() - mixing.alpha * M) @ torch.linalg.inv(covariance)
    assert torch.allclose(gradient, expected)


@pytest.mark.parametrize(
    ("build", "price", "random"),
    [
        (lambda d, times: denoising.ddim(d, SCHEDULE, times), 5, False),
        (lambda d, times: denoising.ddpm(d, SCHEDULE, times), 5, True),
        (lambda d, times: denoising.heun(d, SCHEDULE, times), 9, False),
        (lambda d, times: denoising.dpm_solver(d, SCHEDULE, times), 5, False),
        (
            lambda d, times: denoising.corrected(denoising.ddim(d, SCHEDULE, times), d, SCHEDULE, times, 0.05, 2),
            13,
            True,
        ),
        (lambda d, times: denoising.ddim(denoising.guided(d, d, 2.0), SCHEDULE, times), 10, False),
    ],
)
def test_samplers_cost_what_they_say_and_chains_do_not_know_each_other(build: Any, price: int, random: bool) -> None:
    calls: list[int] = []

    def counting(x: Tensor, time: int) -> Tensor:
        calls.append(time)
        return best()(x, time)

    times, x = noise.times("uniform", SCHEDULE, 5), start(3)
    together = ends(build(counting, times), x, 5)
    assert len(calls) == price and min(calls) > 0, "the network never sees t = 0"
    if not random:
        assert torch.allclose(ends(build(best(), times), x[:1], 5), together[:1])


def test_images_are_clipped_as_the_settings_say() -> None:
    clean = torch.full((2, 1000), 0.5)
    clean[0, :100] = 3.0
    clean[1, 0] = -9.0
    assert CLIPS["on"](clean).abs().max() == 1 and CLIPS["off"](clean) is clean
    cut = CLIPS["quantile"](clean)
    assert torch.allclose(cut[0, 100:], torch.tensor(0.5 / 3)) and cut.abs().max() == 1
    assert torch.equal(cut[1, 1:], clean[1, 1:]), "one pixel beyond 1 is below the quantile"


def test_guidance_moves_from_the_unlabelled_image_beyond_the_labelled() -> None:
    labelled, plain = torch.ones(2, 3), torch.full((2, 3), 0.5)
    denoiser = denoising.guided(lambda x, t: labelled, lambda x, t: plain, 2.0)
    assert torch.equal(denoiser(labelled, 3), torch.full((2, 3), 2.0))
