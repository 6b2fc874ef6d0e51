"""How many terms of an infinite series are computed: a fixed number, or some more by Russian roulette.

A term that is computed with probability p counts 1/p, so the expectation is the whole series (Chen et al. 2019, arXiv:1906.02735,
section 3.1; Kahn 1955).
"""

import math
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import torch
from torch import Generator


class Tail(Protocol):
    """The law of N, the number of terms after those that are always computed."""

    def draw(self, generator: Generator) -> int:
        """N."""

    def survival(self, n: int) -> float:
        """P(N ≥ n)."""


class NoTail(NamedTuple):
    """N = 0: the series is cut, and what was cut is a bias."""

    mean: float

    def draw(self, generator: Generator) -> int:
        return 0

    def survival(self, n: int) -> float:
        return float(n <= 0)


class Geometric(NamedTuple):
    """P(N ≥ n) = qⁿ, with q = mean/(1 + mean). The variance is finite where the squared norm of the Jacobian is below q."""

    mean: float

    def draw(self, generator: Generator) -> int:
        uniform = float(torch.rand(1, generator=generator, device=generator.device, dtype=torch.float64))
        return int(math.log1p(-uniform) / math.log(self.mean / (1 + self.mean)))

    def survival(self, n: int) -> float:
        return float((self.mean / (1 + self.mean)) ** max(0, n))


class Poisson(NamedTuple):
    """P(N ≥ n) falls faster than any power of a norm: without bias, but with a variance that has no bound, by draws so rare
    that nobody sees them where norms are small.
    """

    mean: float

    def draw(self, generator: Generator) -> int:
        rate = torch.tensor(self.mean, device=generator.device, dtype=torch.float64)
        return int(torch.poisson(rate, generator=generator))

    def survival(self, n: int) -> float:
        term, below = math.exp(-self.mean), 0.0
        for k in range(n):
            below += term
            term *= self.mean / (k + 1)
        if below < 0.5:
            return 1 - below
        above = 0.0  # the sum of what is left, which 1 − below would lose to rounding
        k = max(0, n)
        while term > above * 1e-17:
            above += term
            k += 1
            term *= self.mean / k
        return above


TAILS: Mapping[str, type[NoTail] | type[Geometric] | type[Poisson]] = {
    "none": NoTail,
    "geometric": Geometric,
    "poisson": Poisson,
}


class Terms(NamedTuple):
    """The first ``exact`` terms of a series, and what ``tail`` adds."""

    exact: int
    tail: Tail

    def factors(self, further: int) -> list[float]:
        """What each computed term counts, where ``further`` are computed after the exact ones."""
        return [1.0] * self.exact + [1 / self.tail.survival(n) for n in range(1, further + 1)]

    def draw(self, generator: Generator) -> list[float]:
        """The same for a drawn number of further terms."""
        return self.factors(self.tail.draw(generator))
