"""Denoising is score matching, on a mixture whose noised score is known: Vincent 2011; Song and Ermon 2019, arXiv:1907.05600."""

import math

import torch
from torch import Tensor

CENTRES, SPREAD, SIGMA = torch.tensor([-1.0, 1.5]).double(), 0.3, 0.7
WEIGHTS = torch.tensor([0.3, 0.7]).double()


def log_density(x: Tensor, sigma: float) -> Tensor:
    """Of the mixture with noise of deviation ``sigma`` added, at x (n,)."""
    variance = SPREAD**2 + sigma**2
    logs = WEIGHTS.log() - (x[:, None] - CENTRES).square() / (2 * variance) - 0.5 * math.log(2 * math.pi * variance)
    return logs.logsumexp(1)


def score(x: Tensor, sigma: float) -> Tensor:
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(log_density(x, sigma).sum(), x)
    return gradient


def model(x: Tensor, parameters: Tensor) -> Tensor:
    """A score with two parameters, right for none."""
    return parameters[0] * x + parameters[1] * torch.sin(2 * x)


def drawn(n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images x₀, noise ε and x = x₀ + σ ε, (n,) each."""
    generator = torch.Generator().manual_seed(0)
    component = torch.multinomial(WEIGHTS, n, replacement=True, generator=generator)
    noise = torch.randn(2, n, generator=generator, dtype=torch.float64)
    clean = CENTRES[component] + SPREAD * noise[0]
    return clean, noise[1], clean + SIGMA * noise[1]


def test_explicit_and_denoising_score_losses_differ_by_a_constant() -> None:
    """The same difference and the same gradient at any parameters, within four standard errors of their paired difference."""
    n = 200_000
    _, epsilon, x = drawn(n)
    exact, differences = score(x, SIGMA), []
    for values in ([-1.0, 0.0], [-0.3, 0.8], [0.5, -0.5]):
        parameters = torch.tensor(values, dtype=torch.float64, requires_grad=True)
        explicit = (model(x, parameters) - exact).square()
        denoising = (model(x, parameters) + epsilon / SIGMA).square()
        difference = (denoising - explicit).detach()
        differences.append(difference)
        (gradient,) = torch.autograd.grad((denoising - explicit).mean(), parameters)
        # d(difference)/dθ = 2 (ε/σ + score) · features, whose mean is 0.
        features = torch.stack([x, torch.sin(2 * x)])
        error = (2 * (epsilon / SIGMA + exact) * features).std(1) / n**0.5
        assert (gradient.abs() < 4 * error).all(), values
    for other in differences[1:]:
        apart = other - differences[0]
        assert abs(float(apart.mean())) < 4 * float(apart.std()) / n**0.5
    assert float(differences[0].mean()) > 0.1, "the constant is not 0"


def test_the_negative_of_the_expected_noise_is_the_score() -> None:
    """−E[ε | x] / σ = ∇ log p_σ(x): the mean of the noise in each narrow bin of x."""
    _, epsilon, x = drawn(1_000_000)
    edges = torch.linspace(-2, 3, 51, dtype=torch.float64)
    places = torch.bucketize(x, edges)
    for index in range(5, 50, 5):
        inside = places == index
        expected = float(score(x[inside], SIGMA).mean())
        error = float(epsilon[inside].std()) / SIGMA / int(inside.sum()) ** 0.5
        assert abs(-float(epsilon[inside].mean()) / SIGMA - expected) < 4.5 * error


def test_the_best_denoiser_gives_the_score_by_its_noise() -> None:
    """−ε̂/σ of E[x₀ | x], which is known for a mixture, is ∇ log p_σ."""
    x = torch.linspace(-3, 3, 101, dtype=torch.float64)
    variance = SPREAD**2 + SIGMA**2
    shares = (WEIGHTS.log() - (x[:, None] - CENTRES).square() / (2 * variance)).softmax(1)
    means = CENTRES + SPREAD**2 / variance * (x[:, None] - CENTRES)
    epsilon = (x - (shares * means).sum(1)) / SIGMA
    assert torch.allclose(-epsilon / SIGMA, score(x, SIGMA))
