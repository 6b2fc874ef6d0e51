"""The log-determinant of residual blocks: closed forms, roulette without bias, Neumann's gradient, moments."""

import math

import pytest
import torch
from torch import Tensor, nn

from models.flow.residual import log_determinant as determinant
from models.flow.residual import moments as closed_form
from models.flow.residual.activation import LipSwish
from models.flow.residual.lipschitz import Bound, LipschitzConvolution
from models.flow.residual.moments import Powers, largest_power, moments
from models.flow.residual.tails import TAILS, Geometric, NoTail, Poisson, Terms

CUT = NoTail(0.0)


def contraction(coefficient: float = 0.9) -> nn.Module:
    """A small g of maps (2, 3, 3), in float64."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [LipschitzConvolution(2, 4, 3, (3, 3), Bound(coefficient)), LipSwish()]
        return nn.Sequential(*layers, LipschitzConvolution(4, 2, 3, (3, 3), Bound(coefficient))).double()


def images(n: int) -> Tensor:
    return torch.randn(n, 2, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(2)


def test_the_exact_log_determinant_is_that_of_the_jacobian_of_each_image() -> None:
    g, x = contraction(), images(3)
    value, log_determinant = determinant.exact(g, x)
    assert torch.equal(value, g(x))
    for i in range(3):
        jacobian = torch.autograd.functional.jacobian(g, x[i : i + 1]).view(18, 18)
        torch.testing.assert_close(
            log_determinant[i], torch.linalg.slogdet(torch.eye(18, dtype=x.dtype) + jacobian).logabsdet
        )


def test_an_exact_log_determinant_of_a_large_image_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 256 numbers, and an image has 784; take an estimator"):
        determinant.exact(lambda x: x, torch.zeros(1, 1, 28, 28))


@pytest.mark.parametrize("c", [0.5, 0.9, -0.9])
def test_a_cut_series_of_a_multiple_of_the_identity_is_that_of_the_logarithm(c: float) -> None:
    """vᵀ(cI)ᵏv = D cᵏ for every v of −1 and 1, so one vector gives the trace."""
    x = images(1)
    probes = determinant.rademacher(x, 1, generator())
    for terms in (1, 3, 10, 200):
        expected = 18 * sum(-((-c) ** k) / k for k in range(1, terms + 1))
        estimate = determinant.series(lambda y: c * y, x, Terms(terms, CUT).factors(0), probes).log_determinant
        assert float(estimate) == pytest.approx(expected, rel=1e-9)
    assert float(estimate) == pytest.approx(18 * math.log1p(c), rel=1e-6), "200 terms are the whole series"


@pytest.mark.parametrize("name", ["geometric", "poisson"])
@pytest.mark.parametrize("mean", [0.5, 2.0])
def test_further_terms_are_drawn_as_often_as_their_survival_says(name: str, mean: float) -> None:
    tail, randomness = TAILS[name](mean), generator()
    numbers = torch.tensor([tail.draw(randomness) for _ in range(4_000)])
    assert float(numbers.double().mean()) == pytest.approx(mean, rel=0.1)
    for n in range(6):
        assert float((numbers >= n).double().mean()) == pytest.approx(tail.survival(n), abs=0.03)
    total = sum(tail.survival(n) for n in range(1, 400))
    assert total == pytest.approx(mean, rel=1e-9), "E[N] is the sum of P(N ≥ n)"


def test_the_survival_of_a_poisson_tail_keeps_its_digits() -> None:
    from scipy.stats import poisson

    for n in (0, 1, 3, 10, 40):
        assert Poisson(2.0).survival(n) == pytest.approx(poisson.sf(n - 1, 2.0), rel=1e-9)


@pytest.mark.parametrize(("name", "terms", "probes"), [("geometric", 1, 1), ("poisson", 1, 2)])
def test_roulette_has_no_bias_and_the_variance_of_its_closed_form(name: str, terms: int, probes: int) -> None:
    """Four hundred calls of fifty draws for one image: the mean within four standard errors of the exact log-determinant."""
    g, randomness = contraction(), generator()
    computed = Terms(terms, TAILS[name](1.0))
    with torch.no_grad():
        x = images(1).repeat(50, 1, 1, 1)
        estimates = torch.cat(
            [
                determinant.series(
                    g, x, computed.draw(randomness), determinant.rademacher(x, probes, randomness)
                ).log_determinant
                for _ in range(400)
            ]
        )
        exact = determinant.exact(g, x[:1]).log_determinant
        _, jacobians = determinant.jacobian(g, x[:1])
    expected = moments(Powers.of(jacobians, largest_power(computed)), computed, probes)
    by_draw = estimates.view(400, 50).mean(1)  # images of a call share the number of terms
    error = float(by_draw.std()) / math.sqrt(len(by_draw))
    assert abs(float(by_draw.mean() - exact)) < 4 * error
    assert abs(float(expected.bias)) < 1e-4 and error < 0.05
    assert float(estimates.var()) == pytest.approx(float(expected.variance), rel=0.15)
    cut = Terms(terms, CUT)
    bias = moments(Powers.of(jacobians, terms), cut, 1).bias
    assert abs(float(bias)) > 4 * error, "the same number of terms without roulette is biased"


def test_moments_of_a_cut_series_are_those_over_all_vectors() -> None:
    """Of a Jacobian of 4 × 4, by enumeration of the 16 vectors of −1 and 1."""
    matrix = 0.4 * torch.randn(1, 4, 4, generator=generator(), dtype=torch.float64)
    terms = Terms(3, CUT)
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 4)
    forms = sum(
        -((-1.0) ** k) / k * torch.einsum("vi,ij,vj->v", signs, torch.linalg.matrix_power(matrix[0], k), signs)
        for k in (1, 2, 3)
    )
    assert isinstance(forms, Tensor)
    exact = torch.linalg.slogdet(torch.eye(4, dtype=torch.float64) + matrix).logabsdet
    for probes in (1, 3):
        bias, variance = moments(Powers.of(matrix, 3), terms, probes)
        torch.testing.assert_close(bias, forms.mean() - exact)
        torch.testing.assert_close(variance, forms.var(unbiased=False).view(1) / probes)


def test_the_moments_of_roulette_are_the_sum_over_the_numbers_of_terms() -> None:
    """J = cI: no vector adds variance, so it is that of the factors alone."""
    c, terms = 0.6, Terms(1, Geometric(2.0))
    most = largest_power(terms)
    bias, variance = moments(Powers.of(c * torch.eye(1).view(1, 1, 1), most), terms, 1)
    values, chances = list[float](), list[float]()
    for further in range(most):
        factors = terms.factors(further)
        values.append(sum(factor * -((-c) ** k) / k for k, factor in enumerate(factors, 1)))
        chances.append(terms.tail.survival(further) - terms.tail.survival(further + 1))
    mean = sum(p * value for p, value in zip(chances, values, strict=True))
    assert float(bias) == pytest.approx(0, abs=1e-4)
    expected = sum(p * (value - mean) ** 2 for p, value in zip(chances, values, strict=True))
    assert float(variance) == pytest.approx(expected, rel=1e-3)


def gradient(g: nn.Module, log_determinants: Tensor) -> Tensor:
    parts = torch.autograd.grad(log_determinants.sum(), list(g.parameters()), allow_unused=True)
    return torch.cat([part.flatten() for part in parts if part is not None])


def test_the_neumann_gradient_of_all_vectors_and_many_terms_is_that_of_the_exact_log_determinant() -> None:
    """The sum over an orthogonal basis takes the place of the expectation over vectors."""
    g, x = contraction(), images(2)
    exact = determinant.exact(g, x)
    basis = [math.sqrt(18) * e.view(2, 3, 3).expand(x.shape) for e in torch.eye(18, dtype=x.dtype)]
    estimated = determinant.neumann(g, x, [1.0] * 60, basis)
    torch.testing.assert_close(estimated.log_determinant, exact.log_determinant, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(gradient(g, estimated.log_determinant), gradient(g, exact.log_determinant))


def test_the_neumann_gradient_by_roulette_has_no_bias() -> None:
    """Along the exact gradient: its mean over draws within four standard errors of the exact square."""
    g, randomness = contraction(), generator()
    x = images(2)
    exact = gradient(g, determinant.exact(g, x).log_determinant)
    terms, shares = Terms(1, Geometric(1.0)), list[float]()
    wide = x.repeat(25, 1, 1, 1)
    for _ in range(120):
        probes = determinant.rademacher(wide, 1, randomness)
        estimate = determinant.neumann(g, wide, terms.draw(randomness), probes).log_determinant
        shares.append(float(gradient(g, estimate) @ exact) / 25)
    values = torch.tensor(shares, dtype=torch.float64)
    error = float(values.std()) / math.sqrt(len(values))
    truth = float(exact @ exact)
    assert abs(float(values.mean()) - truth) < 4 * error and error < 0.05 * truth


def test_without_gradients_nothing_is_recorded_and_the_numbers_are_the_same() -> None:
    g, x = contraction(), images(2)
    probes, factors = determinant.rademacher(x, 2, generator()), Terms(3, CUT).factors(0)
    recorded = determinant.series(g, x, factors, probes)
    by_neumann = determinant.neumann(g, x, factors, probes)
    with torch.no_grad():
        silent = determinant.series(g, x, factors, probes)
    assert recorded.log_determinant.requires_grad and not silent.log_determinant.requires_grad
    torch.testing.assert_close(silent.log_determinant, recorded.log_determinant.detach())
    torch.testing.assert_close(by_neumann.log_determinant, recorded.log_determinant)


def test_the_variance_of_a_poisson_tail_grows_with_ever_rarer_draws_and_that_of_a_geometric_tail_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """J = 0.7 I: its square, 0.49, is below q = 2/3 of the geometric tail."""
    variances: dict[str, list[float]] = {"geometric": [], "poisson": []}
    for least in (1e-4, 1e-16):
        monkeypatch.setattr(closed_form, "LEAST_PROBABILITY", least)
        for name, values in variances.items():
            terms = Terms(2, TAILS[name](2.0))
            powers = Powers.of(0.7 * torch.eye(1).view(1, 1, 1), largest_power(terms))
            values.append(float(moments(powers, terms, 1).variance))
    assert variances["geometric"][1] == pytest.approx(variances["geometric"][0], rel=0.01)
    assert variances["poisson"][1] > 100 * variances["poisson"][0]
