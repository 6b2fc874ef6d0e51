"""Gaussians of classes: their moments, their directions as scikit-learn has them, and more dimensions than images."""

import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from samplers import mixture
from tests.samplers.targets import assert_gaussian, generator

BOUNDS = (-100.0, 100.0)


def covariance(found: mixture.Mixture, label: int) -> Tensor:
    w = found.factors[label]
    return w @ w.T + found.deviations[label].square().diag()


def images(n: int, dimensions: int) -> Tensor:
    return torch.randn(n, dimensions, generator=generator(1)) @ torch.randn(
        dimensions, dimensions, generator=generator(2)
    )


def test_at_full_rank_it_is_the_covariance_itself() -> None:
    x = images(500, 4)
    found = mixture.fit(x, torch.zeros(500, dtype=torch.int64), 1, 4)
    torch.testing.assert_close(found.means[0], x.mean(0))
    torch.testing.assert_close(covariance(found, 0), torch.cov(x.T, correction=0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rank", [1, 3, 5])
@pytest.mark.parametrize(("n", "dimensions"), [(200, 6), (10, 40)])
def test_below_full_rank_it_has_the_principal_directions_and_every_pixels_variance(
    rank: int, n: int, dimensions: int
) -> None:
    x = images(n, dimensions)
    x[:, 0] = -1  # a pixel that never varies
    found = mixture.fit(x, torch.zeros(n, dtype=torch.int64), 1, rank)
    reference = PCA(rank).fit(x.numpy())
    scales = torch.from_numpy(reference.singular_values_) / n**0.5
    principal = torch.from_numpy(reference.components_).T * scales
    w = found.factors[0]
    torch.testing.assert_close(w @ w.T, principal @ principal.T, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(covariance(found, 0).diagonal(), x.var(0, correction=0), rtol=1e-4, atol=1e-4)
    drawn = mixture.draw(found, torch.zeros(50, dtype=torch.int64), BOUNDS, generator())
    torch.testing.assert_close(drawn[:, 0], torch.full((50,), -1.0))


def test_a_class_of_few_images_has_fewer_directions() -> None:
    x = images(10, 40)
    found = mixture.fit(x, torch.zeros(10, dtype=torch.int64), 1, 50)
    assert found.factors.shape == (1, 40, 50) and (found.factors.abs().sum(1) > 0).sum() == 9
    torch.testing.assert_close(covariance(found, 0), torch.cov(x.T, correction=0), rtol=1e-3, atol=1e-3)


def test_draws_have_the_moments_of_their_own_class() -> None:
    labels = torch.arange(400) % 2
    x = images(400, 3) + labels[:, None] * 10
    found = mixture.fit(x.view(400, 3, 1, 1), labels, 2, 2)
    asked = torch.arange(40_000) % 2
    drawn = mixture.draw(found, asked, BOUNDS, generator())
    assert drawn.shape == (40_000, 3, 1, 1)
    for label in (0, 1):
        assert_gaussian(drawn[asked == label].flatten(1), found.means[label].flatten(), covariance(found, label))
    cut = mixture.draw(found, asked, (-1.0, 1.0), generator())
    assert cut.abs().max() == 1


def test_what_has_no_covariance_is_refused() -> None:
    with pytest.raises(ValueError, match="class 1 has 1 images"):
        mixture.fit(torch.zeros(3, 2), torch.tensor([0, 0, 1]), 2, 1)
    with pytest.raises(ValueError, match="at least 1"):
        mixture.fit(torch.zeros(3, 2), torch.tensor([0, 0, 0]), 1, 0)
