"""x + g(x) with a contractive g: invertible, with a Jacobian that is free, and a log-determinant that is estimated."""

from typing import Literal, NamedTuple

import torch
from torch import Generator, Tensor, nn

from models.flow.block import Block
from models.flow.residual import fixed_point
from models.flow.residual.log_determinant import LARGEST, exact, neumann, rademacher, series
from models.flow.residual.tails import Geometric, Terms

SEED = 0  # of an estimate for which nobody gives a generator


class Estimator(NamedTuple):
    """How a log-determinant is estimated: the terms of its series, vectors for each, and whose gradient is taken."""

    terms: Terms
    probes: int
    gradient: Literal["neumann", "series"] = "neumann"


CAREFUL = Estimator(Terms(10, Geometric(2.0)), 4)


class Residual(Block):
    """x + g(x), where the rows of g do not influence each other and its Lipschitz constant is below 1.

    In training mode the log-determinant is estimated as ``estimator`` says. In evaluation mode it is exact; of images of more
    than 256 numbers it is estimated by CAREFUL, the same for all networks. Behrmann et al. 2019, arXiv:1811.00995.
    """

    def __init__(self, g: nn.Module, estimator: Estimator) -> None:
        super().__init__()
        self.g, self.estimator = g, estimator

    def forward(self, x: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        estimator = self.estimator
        if not self.training:
            if x[0].numel() <= LARGEST:
                value, log_determinant = exact(self.g, x)
                return x + value, log_determinant
            estimator = CAREFUL
        if generator is None:
            generator = torch.Generator(x.device).manual_seed(SEED)
        factors = estimator.terms.draw(generator)
        probes = rademacher(x, estimator.probes, generator)
        by_neumann = estimator.gradient == "neumann" and torch.is_grad_enabled()
        value, log_determinant = (neumann if by_neumann else series)(self.g, x, factors, probes)
        return x + value, log_determinant

    def inverse(self, z: Tensor) -> Tensor:
        return fixed_point.inverted(self.g, z)

    @torch.no_grad()
    def initialise(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.g(x)
        return y
