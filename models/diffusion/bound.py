"""The bound on the likelihood of a diffusion model, with its parts: Ho et al. 2020, equation 5.

L_T compares x_T with N(0, I), before anything is denoised; L_{t−1} each step of the chain with the posterior of DDPM, of the
same variance β̃; L_0 is the image's own probability, of its grey levels, given x_1. In nats per image.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from models.diffusion.losses import clean_error_weights, decoder_variance
from samplers.denoising import Denoiser
from samplers.kernel import standard_normal
from samplers.noise import NoiseSchedule, noised


class Bound(NamedTuple):
    """Nats of each image, (n,), and of each time that was looked at, the mean over images."""

    last: Tensor  # L_T
    steps: Tensor  # Σ L_{t−1}, t = 2 … T
    first: Tensor  # L_0
    times: list[int]
    by_time: list[float]  # L_{t−1}

    @property
    def nats(self) -> Tensor:
        """The bound on −log P of each image, (n,)."""
        return self.last + self.steps + self.first


Decoder = Callable[[Tensor, Tensor], Tensor]
"""x̂₀ at t = 1 and the image -> −log p(image | x_1), (n,)."""


def bound(
    denoiser: Denoiser, schedule: NoiseSchedule, images: Tensor, decoder: Decoder, most: int, generator: Generator
) -> Bound:
    """Of images (n, *shape). Of at most ``most`` equal parts of the times 2 … T one time each is drawn, for all images.

    The sum over times is then an estimate without bias; with ``most`` >= T − 1 there is nothing to be estimated.
    """

    def clean_at(time: int) -> Tensor:
        drawn = standard_normal(images, generator)
        return denoiser(noised(images, drawn, schedule.at(time)), time)

    alpha_bar = float(schedule.alpha_bar[-1])
    variance_and_log = -alpha_bar - math.log1p(-alpha_bar)
    last = (alpha_bar * images.square() + variance_and_log).flatten(1).sum(1) / 2
    first = decoder(clean_at(1), images)
    weights, steps = clean_error_weights(schedule), torch.zeros_like(first)
    chosen, by_time = list[int](), list[float]()
    for part in torch.arange(2, schedule.timesteps + 1).chunk(most):
        index = int(torch.randint(len(part), (1,), generator=generator, device=generator.device))
        time = int(part[index])
        nats = float(weights[time - 1]) * (clean_at(time) - images).square().flatten(1).sum(1)
        steps += len(part) * nats
        chosen.append(time)
        by_time.append(float(nats.mean()))
    return Bound(last, steps, first, chosen, by_time)


def level_decoder(schedule: NoiseSchedule, levels: int) -> Decoder:
    """−log P of images with so many grey levels on [-1, 1], under Gaussians around x̂₀: an outer level takes its tail."""
    deviation, half = math.sqrt(decoder_variance(schedule)), 1 / (levels - 1)

    def nats(clean: Tensor, images: Tensor) -> Tensor:
        clean, images = clean.double(), images.double()
        upper, lower = ((images + side * half - clean) / deviation for side in (1, -1))
        # By symmetry computed in the tail where differences lose no digits.
        flip = lower > 0
        upper, lower = torch.where(flip, -lower, upper), torch.where(flip, -upper, lower)
        lowest, highest = images < -1 + half, images > 1 - half
        above = torch.where(flip, lowest, highest)  # nothing beyond the upper edge
        below = torch.where(flip, highest, lowest)
        log_upper = torch.where(above, 0.0, torch.special.log_ndtr(upper))
        ratio = torch.where(below, 0.0, (torch.special.log_ndtr(lower) - log_upper).exp())
        mass = log_upper + torch.log1p(-ratio.clamp(max=1 - 1e-12))
        return -mass.flatten(1).sum(1).float()

    return nats
