"""The bounds against models whose likelihood is known: linear decoders, where everything is Gaussian."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from models.vae.bound import Pixels, effective_samples, importance_bound, log_weights, terms
from models.vae.networks import Gaussian
from models.vae.observation import Bernoulli, Logistic
from models.vae.observation import Normal as NormalObservation

LEVELS, PIXELS, CODES = 5, 4, 2


class Upper(nn.Module):
    """z₂ → z₁ and back by linear maps with one deviation each."""

    def __init__(self, there: Tensor, back: Tensor, deviation: float) -> None:
        super().__init__()
        self.there, self.back, self.deviation = there, back, deviation

    def posterior(self, z: Tensor) -> Gaussian:
        mean = z @ self.back.T
        return Gaussian(mean, torch.full_like(mean, math.log(0.6)))

    def prior(self, upper: Tensor) -> Gaussian:
        mean = upper @ self.there.T
        return Gaussian(mean, torch.full_like(mean, 2 * math.log(self.deviation)))


class Linear(nn.Module):
    """Probabilistic principal components: x = W z + b + σ ε; Tipping and Bishop 1999."""

    def __init__(self, generator: torch.Generator, upper: bool = False) -> None:
        super().__init__()
        self.weights, self.bias = (
            0.4 * torch.randn(PIXELS, CODES, generator=generator, dtype=torch.float64),
            0.1 * torch.randn(PIXELS, generator=generator, dtype=torch.float64),
        )
        self.observation = NormalObservation(1)
        self.observation.log_deviation.data = torch.tensor(-0.7, dtype=torch.float64)
        there = 0.5 * torch.randn(CODES, 1, generator=generator, dtype=torch.float64)
        self.upper = Upper(there, there.T, 0.7) if upper else None

    def decoder(self, z: Tensor) -> Tensor:
        return (z @ self.weights.T + self.bias).view(-1, 1, 1, PIXELS)

    @property
    def variance(self) -> Tensor:
        return (2 * self.observation.log_deviation).exp()

    def code_covariance(self) -> Tensor:
        if self.upper is None:
            return torch.eye(CODES, dtype=torch.float64)
        return self.upper.there @ self.upper.there.T + self.upper.deviation**2 * torch.eye(CODES, dtype=torch.float64)

    def exact(self, pixels: Pixels) -> Tensor:
        """log p(x) in nats, as a density times the volume of a cell, (n,)."""
        covariance = self.weights @ self.code_covariance() @ self.weights.T
        covariance = covariance + self.variance * torch.eye(PIXELS, dtype=torch.float64)
        x = 2 * (pixels.ranks + pixels.cell) / LEVELS - 1
        density: Tensor = MultivariateNormal(self.bias, covariance).log_prob(x.flatten(1))
        return density.detach() + PIXELS * math.log(2 / LEVELS)

    def posterior(self, pixels: Pixels, wrong: float = 0.0) -> Gaussian:
        """The best Gaussian with independent dimensions for images, or one whose means are ``wrong`` by so much."""
        precision = torch.linalg.inv(self.code_covariance()) + self.weights.T @ self.weights / self.variance
        x = (2 * (pixels.ranks + pixels.cell) / LEVELS - 1).flatten(1) - self.bias
        mean = (x @ self.weights / self.variance) @ torch.linalg.inv(precision) + wrong
        return Gaussian(mean.detach(), (-precision.diagonal().log()).expand_as(mean).detach())


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def drawn(generator: torch.Generator, n: int = 6) -> Pixels:
    ranks = torch.randint(LEVELS, (n, 1, 1, PIXELS), generator=generator)
    cell = torch.rand(n, 1, 1, PIXELS, generator=generator, dtype=torch.float64)
    return Pixels(2 * (ranks + cell) / LEVELS - 1, ranks, cell, LEVELS)


def network(generator: torch.Generator, **options: Any) -> Any:
    return Linear(generator, **options)


@pytest.mark.parametrize("upper", [False, True])
def test_bounds_of_a_linear_model_stay_below_its_likelihood_and_reach_it_with_many_codes(
    upper: bool, generator: torch.Generator
) -> None:
    model, n_codes = network(generator, upper=upper), 20_000
    pixels = drawn(generator)
    exact, posterior = model.exact(pixels), model.posterior(pixels, wrong=0.3)
    with torch.no_grad():
        weights = torch.stack([log_weights(model, posterior, pixels, generator) for _ in range(n_codes)])
        bounds = [terms(model, posterior, posterior.draw(generator), pixels, generator).bound for _ in range(2_000)]
    elbo = torch.stack(bounds).mean(0)
    assert (elbo < exact - 0.05).all(), "the encoder is wrong, so the evidence lower bound is loose"
    ratios = (weights - exact).exp()
    error = ratios.std(0) / math.sqrt(n_codes)
    assert ((ratios.mean(0) - 1).abs() < 5 * error).all(), "the mean weight is the likelihood, without bias"
    assert torch.allclose(elbo, weights.mean(0), atol=0.15), "the evidence lower bound is the mean log weight"


def test_the_bound_of_a_linear_model_is_exact_with_its_own_posterior(generator: torch.Generator) -> None:
    """With one code the posterior has no dependence that independent dimensions could miss, so every weight is log p(x)."""
    model, pixels = network(generator), drawn(generator)
    model.weights[:, 1] = 0  # the second code says nothing
    posterior = model.posterior(pixels)
    with torch.no_grad():
        weights = log_weights(model, posterior, pixels, generator)
    assert torch.allclose(weights, model.exact(pixels), atol=1e-9)


def test_more_codes_give_higher_bounds_on_average_and_one_code_gives_the_evidence_lower_bound(
    generator: torch.Generator,
) -> None:
    weights = 3 * torch.randn(64, 2_000, generator=generator)
    bounds = [float(importance_bound(weights[:n]).mean()) for n in (1, 2, 8, 64)]
    assert bounds == sorted(bounds)
    assert torch.equal(importance_bound(weights[:1]), weights[0])


def test_bounds_of_very_unlikely_images_stay_finite() -> None:
    weights = torch.tensor([[-800.0, -2e4], [-801.0, -3e4]])
    expected = torch.tensor([-800 + math.log((1 + math.exp(-1)) / 2), -2e4 - math.log(2)])
    assert torch.allclose(importance_bound(weights), expected)
    assert torch.allclose(effective_samples(weights), torch.tensor([(1 + math.exp(-1)) ** 2 / (1 + math.exp(-2)), 1.0]))


@pytest.mark.parametrize("dimensions", [1, 32])
def test_the_divergence_of_a_code_is_the_sum_over_its_dimensions(dimensions: int, generator: torch.Generator) -> None:
    mean, log_variance = torch.randn(2, 5, dimensions, generator=generator)
    normal = Normal(mean, (log_variance / 2).exp())
    expected = kl_divergence(normal, Normal(torch.zeros(()), torch.ones(())))
    assert torch.allclose(Gaussian(mean, log_variance).kl_to_standard(), expected, atol=1e-5)
    z = torch.randn(5, dimensions, generator=generator)
    assert torch.allclose(Gaussian(mean, log_variance).log_density(z), normal.log_prob(z), atol=1e-5)


@pytest.mark.parametrize(("observation", "levels"), [(Bernoulli(1), 2), (Logistic(1), 2), (Logistic(1), 17)])
def test_probabilities_of_all_levels_sum_to_one(
    observation: Bernoulli | Logistic, levels: int, generator: torch.Generator
) -> None:
    parameters = 2 * torch.randn(50, observation.parameters_per_pixel, 1, 1, generator=generator)
    ranks = torch.arange(levels).view(-1, 1, 1, 1, 1).expand(-1, 50, 1, 1, 1)
    mass = sum(observation.log_probability(parameters, level, levels, torch.zeros(())).exp() for level in ranks)
    assert torch.allclose(mass, torch.ones(50), atol=1e-4)


def test_a_picture_of_four_tiles_has_four_times_the_nats_of_one(generator: torch.Generator) -> None:
    """In nats per image: a mean over pixels would make β another number for another size of image."""
    parameters, ranks = (
        torch.randn(3, 2, 4, 4, generator=generator),
        torch.randint(17, (3, 1, 4, 4), generator=generator),
    )
    observation = Logistic(1)
    tile = observation.log_probability(parameters, ranks, 17, torch.zeros(()))
    tiles = observation.log_probability(parameters.repeat(1, 1, 2, 2), ranks.repeat(1, 1, 2, 2), 17, torch.zeros(()))
    assert torch.allclose(tiles, 4 * tile, rtol=1e-5)
