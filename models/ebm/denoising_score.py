"""Training of an energy without chains: its gradient at a noisy image points to the clean one.

Denoising score matching (Vincent 2011) with noise of many deviations σ (Li et al. 2019, arXiv:1910.07762): ∇E(x + σε) is to be
σε, so exp(−E/T) is a blurred image of the data where T is the variance of the noise, and a Langevin step of size 1 goes to the
mean of the images that could have become x + σε.
"""

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from models.ebm.config import BOUNDS
from samplers.kernel import Energy, standard_normal


class Denoised(NamedTuple):
    """What a batch of noisy images was made of, and what the energy says of it."""

    images: Tensor  # x + σε less its gradient, within the range of pixels (n, *shape)
    energies: Tensor  # of noisy images, (n,)
    gradient: Tensor  # (n, *shape)
    loss: Tensor


def deviations(n: int, least: float, most: float, generator: Generator) -> Tensor:
    """``n`` standard deviations σ, log-uniform from ``least`` to ``most``."""
    shares = torch.rand(n, generator=generator, device=generator.device)
    return least * (most / least) ** shares


def denoising_score(energy: Energy, real: Tensor, sigma: Tensor, generator: Generator) -> Denoised:
    """The mean over images of ‖∇E(x + σε) − σε‖²/σ², with its graph; ``sigma`` (n,)."""
    sigma = sigma.view(-1, *[1] * (real.dim() - 1))
    noise = sigma * standard_normal(real, generator)
    noisy = (real + noise).requires_grad_()
    energies = energy(noisy)
    (gradient,) = torch.autograd.grad(energies.sum(), noisy, create_graph=True)
    loss = ((gradient - noise) / sigma).square().flatten(1).sum(1).mean()
    images = (noisy - gradient).detach().clamp(*BOUNDS)
    return Denoised(images, energies.detach(), gradient.detach(), loss)
