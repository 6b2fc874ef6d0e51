"""A prior that is fitted to the codes of training images when training is over: a mixture of Gaussians.

The decoder knows codes of images, and N(0, I) has others: Ghosh et al. 2020, arXiv:1903.12436; Dai and Wipf 2019,
arXiv:1903.05789. It is a second stage of its own: another model of codes is a class here, a line of ``FITTED_PRIORS`` and a
value of the setting ``prior``.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from models.vae.config import Config

IMAGES = 10_000  # training images whose codes it is fitted to, at most
RIDGE = 1e-3  # added to variances: below it, single precision leaves covariances that are not positive


class FittedPrior(nn.Module, ABC):
    """A model of codes (n, latent_size). It is a part of the network, so it is saved with the weights."""

    @abstractmethod
    def fit(self, codes: Tensor, seed: int) -> None:
        """Learn from ``codes`` of training images; the rest of the network does not change any more."""

    @abstractmethod
    def draw(self, n: int, generator: Generator) -> Tensor:
        """New codes (n, latent_size), without gradients."""


class Mixture(FittedPrior):
    """Gaussians over codes."""

    shares: Tensor  # (components,)
    means: Tensor  # (components, dimensions)
    factors: Tensor  # (components, dimensions, dimensions): lower Cholesky factors of the covariances

    def __init__(self, components: int, dimensions: int) -> None:
        """The standard normal until it is fitted."""
        super().__init__()
        self.dimensions = dimensions
        self.register_buffer("shares", torch.full((components,), 1 / components))
        self.register_buffer("means", torch.zeros(components, dimensions))
        self.register_buffer("factors", torch.eye(dimensions).repeat(components, 1, 1))

    def fit(self, codes: Tensor, seed: int) -> None:
        """Fit to ``codes`` (n, dimensions) by expectation maximisation, in double precision.

        Of fewer than twice as many codes as components, only half as many components as codes are used.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        components = max(1, min(len(self.shares), len(codes) // 2))
        model = GaussianMixture(components, reg_covar=RIDGE, random_state=seed % 2**32, max_iter=100)
        with warnings.catch_warnings():  # a hundred rounds are near enough
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(codes.double().cpu().numpy())
        self.shares.zero_()
        self.shares[:components] = torch.from_numpy(model.weights_).to(self.shares)
        self.means[:components] = torch.from_numpy(model.means_).to(self.means)
        factors = torch.linalg.cholesky(torch.from_numpy(model.covariances_))
        self.factors[:components] = factors.to(self.factors)

    def draw(self, n: int, generator: Generator) -> Tensor:
        """Codes (n, dimensions), without gradients."""
        components = torch.multinomial(self.shares, n, replacement=True, generator=generator)
        noise = torch.empty(n, self.dimensions, 1, device=generator.device).normal_(generator=generator)
        return self.means[components] + (self.factors[components] @ noise).squeeze(2)


FITTED_PRIORS: dict[str, Callable[[Config], FittedPrior]] = {
    "mixture": lambda config: Mixture(config.mixture_components, config.latent_size)
}
