"""Gaussians of classes: their moments, their likelihood's maximum as scikit-learn has it, and more dimensions than images."""

import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from samplers import mixture
from tests.samplers.targets import assert_gaussian, generator

BOUNDS = (-100.0, 100.0)


def covariance(found: mixture.Mixture, label: int) -> Tensor:
    w = found.factors[label]
    return w @ w.T + found.deviations[label] ** 2 * torch.eye(len(w))


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
def test_below_full_rank_it_is_that_of_probabilistic_principal_components(rank: int) -> None:
    x = images(200, 6)
    found = mixture.fit(x, torch.zeros(200, dtype=torch.int64), 1, rank)
    reference = torch.from_numpy(PCA(rank).fit(x.numpy()).get_covariance()) * (
        199 / 200
    )  # unbiased, where ours is likeliest
    torch.testing.assert_close(covariance(found, 0), reference.float(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("rank", [3, 50])
def test_more_dimensions_than_images_keep_the_variance_of_the_images(rank: int) -> None:
    x = images(10, 40)
    found = mixture.fit(x, torch.zeros(10, dtype=torch.int64), 1, rank)
    real = torch.cov(x.T, correction=0)
    assert found.factors.shape == (1, 40, rank)
    assert covariance(found, 0).trace() == pytest.approx(real.trace().item(), rel=1e-4)
    largest = torch.linalg.eigvalsh(real)[-3:]
    torch.testing.assert_close(torch.linalg.eigvalsh(covariance(found, 0))[-3:], largest, rtol=1e-3, atol=1e-3)


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
