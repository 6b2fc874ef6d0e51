"""Encoder and decoder of a variational autoencoder: images to Gaussians over codes, codes to distributions of pixels."""

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from models.parts.networks.blocks import ACTIVATIONS, ResidualBlock
from models.parts.training.workload import Workload
from models.vae.config import Config
from models.vae.observation import OBSERVATIONS, Observation
from models.vae.prior import FITTED_PRIORS, FittedPrior
from samplers.kernel import standard_normal

BATCH = 512  # images at a time when nothing is learned
LARGEST_LOG_VARIANCE = 10.0  # of a Gaussian over codes, to either side of 0
HEAD_UNITS = 128


class Gaussian(NamedTuple):
    """Independent Gaussians: means and log variances (n, dimensions)."""

    mean: Tensor
    log_variance: Tensor

    @staticmethod
    def of(parameters: Tensor) -> "Gaussian":
        """From (n, 2 × dimensions) numbers of a network."""
        mean, log_variance = parameters.chunk(2, 1)
        return Gaussian(mean, log_variance.clamp(-LARGEST_LOG_VARIANCE, LARGEST_LOG_VARIANCE))

    def draw(self, generator: Generator) -> Tensor:
        """A code each, (n, dimensions), by reparameterisation: gradients pass through it."""
        noise = standard_normal(self.mean, generator)
        return self.mean + (self.log_variance / 2).exp() * noise

    def log_density(self, z: Tensor) -> Tensor:
        """Of codes (n, dimensions), by dimension: (n, dimensions)."""
        squares = (z - self.mean).square() * (-self.log_variance).exp()
        return -0.5 * (squares + self.log_variance + math.log(2 * math.pi))

    def kl_to_standard(self) -> Tensor:
        """KL(self ‖ N(0, I)) by dimension, in nats: (n, dimensions)."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance)


class UpperLayer(nn.Module):
    """A second layer of latent variables: q(z₂ | z₁), and p(z₁ | z₂) as the prior of the first."""

    def __init__(self, size: int, upper_size: int, hidden: int) -> None:
        super().__init__()
        self.size = upper_size
        self.infer = _perceptron(size, hidden, 2 * upper_size)
        self.generate = _perceptron(upper_size, hidden, 2 * size)

    def posterior(self, z: Tensor) -> Gaussian:
        return Gaussian.of(self.infer(z))

    def prior(self, upper: Tensor) -> Gaussian:
        return Gaussian.of(self.generate(upper))


class Autoencoder(nn.Module):
    """Images (n, channels, height, width) in [-1, 1] to codes (n, latent_size) and back; called, it decodes codes to images.

    Convolutions with stride 2 and residual blocks, no batch normalisation: with it the bound of an image would depend on the
    others of its batch. Maps are doubled by repetition and convolution, which leaves no checkerboard.
    """

    def __init__(self, config: Config, shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, height, width = shape
        self.observation: Observation = OBSERVATIONS[config.likelihood](channels)
        small, wide = config.width, 2 * config.width
        act = ACTIVATIONS[config.activation]

        def blocks(n: int) -> list[nn.Module]:
            return [ResidualBlock(n, n, False, config.activation, False) for _ in range(config.blocks)]

        maps = [nn.Conv2d(channels, small, 3, 2, 1), *blocks(small), act(), nn.Conv2d(small, wide, 3, 2, 1)]
        half, quarter = (tuple(math.ceil(side / n) for side in (height, width)) for n in (2, 4))
        n_features = wide * math.prod(quarter)
        self.encoder = nn.Sequential(
            *maps, *blocks(wide), act(), nn.Flatten(), _perceptron(n_features, config.hidden, 2 * config.latent_size)
        )
        self.decoder = nn.Sequential(
            _perceptron(config.latent_size, config.hidden, n_features),
            nn.Unflatten(1, (wide, *quarter)),
            *blocks(wide),
            nn.Upsample(size=half),
            nn.Conv2d(wide, small, 3, padding=1),
            *blocks(small),
            nn.Upsample(size=(height, width)),
            *blocks(small),
            act(),
            nn.Conv2d(small, channels * self.observation.parameters_per_pixel, 3, padding=1),
        )
        two = config.stochastic_layers == 2
        self.upper = UpperLayer(config.latent_size, config.upper_size, config.hidden) if two else None
        self.latent_size, self.prior = config.latent_size, config.prior
        if config.prior in FITTED_PRIORS:
            self.add_module(config.prior, FITTED_PRIORS[config.prior](config))
        self.head = None
        if config.head != "none":
            self.head = _perceptron(config.latent_size, HEAD_UNITS, config.classes)

    def posterior(self, images: Tensor) -> Gaussian:
        """q(z | x)."""
        return Gaussian.of(self.encoder(images))

    def codes(self, images: Tensor) -> Tensor:
        """Means of q(z | x) (n, latent_size) for images on any device, a batch at a time, without gradients."""
        device = next(self.parameters()).device
        with torch.no_grad():
            return torch.cat([self.posterior(batch.to(device)).mean for batch in torch.split(images, BATCH)])

    def forward(self, z: Tensor) -> Tensor:
        """The mean image of each code (n, latent_size), in [-1, 1]."""
        images: Tensor = self.observation.mean(self.decoder(z))
        return images

    def decode(self, z: Tensor) -> Tensor:
        """The same a batch at a time, without gradients."""
        with torch.no_grad():
            return torch.cat([self(batch) for batch in torch.split(z, BATCH)])

    @property
    def fitted_prior(self) -> FittedPrior | None:
        """The model of codes that is fitted when all else is learned, if the settings name one."""
        return getattr(self, self.prior, None)

    def draw_codes(self, n: int, generator: Generator) -> Tensor:
        """Codes (n, latent_size) of new images: of the fitted prior, or of the model's own where none is fitted."""
        return self.fitted_prior.draw(n, generator) if self.fitted_prior else self.draw_prior(n, generator)

    def draw_prior(self, n: int, generator: Generator) -> Tensor:
        """Codes (n, latent_size) of the model's own prior: N(0, I), or p(z₁ | z₂) where there are two layers."""
        size = self.upper.size if self.upper is not None else self.latent_size
        z = torch.empty(n, size, device=generator.device).normal_(generator=generator)
        if self.upper is None:
            return z
        with torch.no_grad():
            return self.upper.prior(z).draw(generator)


def _perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, outputs))


def network(config: Config, shape: tuple[int, int, int]) -> Autoencoder:
    """The untrained network for images of ``shape``; its weights come from torch's global generator."""
    return Autoencoder(config, shape)


def workload(config: Config, shape: tuple[int, int, int]) -> Workload:
    """What the training of the autoencoder computes, without fitted prior, head and attacks."""
    autoencoder = network(config, shape)
    codes = config.importance_samples if config.bound == "importance" else 1

    def forward(n: int) -> Tensor:
        z = autoencoder.posterior(torch.zeros(n, *shape)).mean
        images: Tensor = autoencoder(z.repeat(codes, 1))
        return images

    return Workload(config.updates, config.batch_size, forward)
