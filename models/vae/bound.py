"""The evidence lower bound of images and that of several codes each (importance weighting), in nats per image.

Kingma and Welling 2014, arXiv:1312.6114; Burda et al. 2016, arXiv:1509.00519.
"""

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from models.vae.networks import Autoencoder, Gaussian


class Pixels(NamedTuple):
    """Images as a likelihood sees them."""

    images: Tensor  # (n, channels, height, width) in [-1, 1]
    ranks: Tensor  # the numbers of their grey levels
    cell: Tensor  # where in the cell of its level each pixel is, in [0, 1)
    levels: int


class Terms(NamedTuple):
    """What the evidence lower bound of each image is made of."""

    log_probability: Tensor  # log p(x | z), (n,)
    divergences: tuple[Tensor, ...]  # KL of each layer by dimension, (n, dimensions)

    @property
    def bound(self) -> Tensor:
        """(n,)."""
        return self.log_probability - torch.stack([kl.sum(1) for kl in self.divergences]).sum(0)


def terms(network: Autoencoder, posterior: Gaussian, z: Tensor, pixels: Pixels, generator: Generator) -> Terms:
    """With a code ``z`` (n, latent_size) drawn from ``posterior``.

    The divergence from N(0, I) is exact. From the prior p(z₁ | z₂) of a second layer it is that of the codes drawn.
    """
    log_probability = network.observation.log_probability(network.decoder(z), pixels.ranks, pixels.levels, pixels.cell)
    return Terms(log_probability, divergences(network, posterior, z, generator))


def divergences(network: Autoencoder, posterior: Gaussian, z: Tensor, generator: Generator) -> tuple[Tensor, ...]:
    """KL of each layer by dimension, (n, dimensions), for a code ``z`` drawn from ``posterior``; see ``terms``."""
    if network.upper is None:
        return (posterior.kl_to_standard(),)
    upper = network.upper.posterior(z)
    prior = network.upper.prior(upper.draw(generator))
    return posterior.log_density(z) - prior.log_density(z), upper.kl_to_standard()


def by_layer(name: str, layers: tuple[Tensor, ...]) -> dict[str, float]:
    """Mean KL in nats per image: ``name``, and of each of several layers ``name_1``, ``name_2``."""
    nats = [kl.sum(1).mean().item() for kl in layers]
    values = {f"{name}_{number}": kl for number, kl in enumerate(nats, 1)} if len(nats) > 1 else {}
    return {name: sum(nats), **values}


def log_weights(
    network: Autoencoder, posterior: Gaussian, pixels: Pixels, generator: Generator, beta: float = 1.0
) -> Tensor:
    """log p(x | z) + β (log p(z) − log q(z | x)) with one new code for each image: (n,)."""
    z = posterior.draw(generator)
    log_probability = network.observation.log_probability(network.decoder(z), pixels.ranks, pixels.levels, pixels.cell)
    if network.upper is None:
        return log_probability + beta * (_standard(z).log_density(z) - posterior.log_density(z)).sum(1)
    upper = network.upper.posterior(z)
    z_upper = upper.draw(generator)
    first = network.upper.prior(z_upper).log_density(z) - posterior.log_density(z)
    second = _standard(z_upper).log_density(z_upper) - upper.log_density(z_upper)
    return log_probability + beta * (first.sum(1) + second.sum(1))


def _standard(z: Tensor) -> Gaussian:
    return Gaussian(torch.zeros_like(z), torch.zeros_like(z))


def importance_bound(weights: Tensor) -> Tensor:
    """log of the mean over codes of exp(``weights``) (codes, n): (n,). Of one code it is an evidence lower bound."""
    return weights.logsumexp(0) - math.log(len(weights))


def effective_samples(weights: Tensor) -> Tensor:
    """Of the (codes, n) normalised weights, (Σw)² / Σw²: (n,), from 1 to the number of codes."""
    return 1 / weights.softmax(0).square().sum(0)
