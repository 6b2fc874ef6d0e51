"""A prior that is fitted to the codes of training images when training is over: a mixture of Gaussians.

The decoder knows codes of images, and N(0, I) has others: Ghosh et al. 2020, arXiv:1903.12436; Dai and Wipf 2019,
arXiv:1903.05789. It is a second stage of its own, so another model of codes could stand here.
"""

import warnings

import torch
from torch import Generator, Tensor, nn

IMAGES = 10_000  # training images whose codes it is fitted to, at most
RIDGE = 1e-3  # added to variances: below it, single precision leaves covariances that are not positive


class Mixture(nn.Module):
    """Gaussians over codes, kept with the weights of a network so that they are saved with them."""

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
