"""Scores against formulas worked by hand, and against what they have to tell apart."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.data import dataset as data
from models.parts.evaluation import metrics


def normal(n: int, dimensions: int, seed: int) -> Tensor:
    return torch.randn(n, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def white(n: int, dimensions: int, seed: int) -> Tensor:
    """Features whose sample mean is 0 and whose sample covariance is the identity, to rounding."""
    x = normal(n, dimensions, seed)
    x = x - x.mean(0)
    whitened: Tensor = torch.linalg.solve_triangular(torch.linalg.cholesky(x.T.cov()), x.T, upper=False)
    return whitened.T


def root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(matrix)
    result: NDArray[np.float64] = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    return result


def frechet(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """|μ − ν|² + Tr(A + B − 2(√A B √A)^½)."""
    a, b = np.cov(x.T), np.cov(y.T)
    cross = root(root(a) @ b @ root(a))
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * np.trace(cross))


def cubic_mmd(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Unbiased squared MMD with the kernel (x·y/d + 1)³; the cross term is over all pairs."""

    def kernel(u: NDArray[np.float64], v: NDArray[np.float64]) -> float:
        return float(np.dot(u, v) / len(u) + 1) ** 3

    n, m = len(x), len(y)
    within_x = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    between = sum(kernel(u, v) for u in x for v in y) / (n * m)
    return within_x + within_y - 2 * between


def test_fid_of_gaussians_with_known_moments() -> None:
    x = white(300, 4, seed=0)
    shift = torch.tensor([1.0, -2.0, 0.0, 0.5], dtype=torch.float64)
    scale = torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64)
    y = white(200, 4, seed=1) * scale + shift
    by_hand = float(shift.square().sum() + (scale - 1).square().sum())  # commuting covariances: Σ(σ − 1)²
    assert metrics.fid(x, y) == pytest.approx(by_hand, rel=1e-9)


def test_fid_is_the_closed_form_for_correlated_features() -> None:
    x, y = normal(200, 6, 0) @ normal(6, 6, 1), normal(150, 6, 2) @ normal(6, 6, 3) + 0.5
    assert metrics.fid(x, y) == pytest.approx(frechet(x.numpy(), y.numpy()), rel=1e-8)
    assert metrics.fid(x, y) == pytest.approx(metrics.fid(y, x), rel=1e-8)


def test_fid_with_fewer_samples_than_dimensions() -> None:
    x, y = normal(20, 64, 0), normal(30, 64, 1)
    assert metrics.fid(x, y) == pytest.approx(frechet(x.numpy(), y.numpy()), rel=1e-4)


def test_a_set_against_itself() -> None:
    x = normal(100, 8, 0)
    found = metrics.scores(x, x[torch.randperm(100, generator=torch.Generator().manual_seed(1))])
    assert list(found) == ["fid", "kid", "precision", "recall", "density", "coverage"]
    assert 0 <= found["fid"] < 1e-9
    assert abs(found["kid"]) < 0.2  # unbiased, so not exactly 0: a copy's kernel with itself counts only between sets
    assert (found["precision"], found["recall"], found["coverage"]) == (1.0, 1.0, 1.0)


def test_kid_of_equal_sizes_is_the_whole_cubic_mmd() -> None:
    x, y = normal(40, 5, 0), normal(40, 5, 1) + 0.7
    assert metrics.scores(x, y)["kid"] == pytest.approx(cubic_mmd(x.numpy(), y.numpy()), rel=1e-9)


def test_kid_of_unequal_sizes_is_estimated_from_subsets_always_the_same() -> None:
    x, y = normal(90, 5, 0), normal(60, 5, 1) + 0.7
    first = metrics.scores(x, y)["kid"]
    torch.manual_seed(123)
    assert metrics.scores(x, y)["kid"] == first
    assert first == pytest.approx(cubic_mmd(x.numpy(), y.numpy()), rel=0.1)


def test_precision_recall_density_and_coverage_by_counting() -> None:
    x, y, k = normal(50, 3, 0), normal(40, 3, 1) * 1.5, 3
    within_x, within_y = torch.cdist(x, x), torch.cdist(y, y)
    radius_x, radius_y = within_x.sort(1).values[:, k], within_y.sort(1).values[:, k]  # the 0th is the point itself
    inside = torch.cdist(x, y) < radius_x[:, None]  # [i, j]: sample j lies in the ball of real i
    found = metrics.scores(x, y, nearest=k)
    assert found["precision"] == pytest.approx(float(inside.any(0).double().mean()))
    assert found["recall"] == pytest.approx(float((torch.cdist(x, y) < radius_y).any(1).double().mean()))
    assert found["density"] == pytest.approx(float(inside.double().sum(0).mean() / k))
    assert found["coverage"] == pytest.approx(float(inside.any(1).double().mean()))


def test_noise_is_far_worse_than_real_images(tmp_path: Path) -> None:
    digits = data.load("digits", tmp_path)
    reference = digits.validation.floats().flatten(1)
    generator = torch.Generator().manual_seed(0)
    real = metrics.scores(reference, digits.train.floats()[:256].flatten(1))
    noise = metrics.scores(reference, torch.rand(256, 64, generator=generator) * 2 - 1)
    for name in ("fid", "kid"):
        assert noise[name] > 20 * abs(real[name])
    for name in ("precision", "recall", "density", "coverage"):
        assert noise[name] < 0.1 < 0.8 < real[name]


def test_it_is_silent_and_leaves_all_global_randomness_alone(capsys: pytest.CaptureFixture[str]) -> None:
    before = torch.get_rng_state(), np.random.get_state(legacy=False), random.getstate()
    metrics.scores(normal(30, 4, 0), normal(20, 4, 1))
    after = torch.get_rng_state(), np.random.get_state(legacy=False), random.getstate()
    assert torch.equal(before[0], after[0])
    np.testing.assert_equal(before[1], after[1])
    assert before[2] == after[2]
    assert capsys.readouterr() == ("", "")


def test_bad_features_are_refused_in_one_sentence() -> None:
    x = normal(20, 4, 0)
    lost = x.clone()
    lost[3, 1], lost[5, 2] = torch.nan, torch.inf
    with pytest.raises(ValueError, match="2 of 20 rows of samples are not finite"):
        metrics.fid(x, lost)
    with pytest.raises(ValueError, match="rows of reference are not finite"):
        metrics.scores(lost, x)
    with pytest.raises(ValueError, match="samples of shape .1, 4. cannot be scored; at least 2 rows"):
        metrics.fid(x, x[:1])
    with pytest.raises(ValueError, match="at least 7 rows are needed"):
        metrics.scores(x, x[:6])
    with pytest.raises(ValueError, match="at least 2 rows are needed"):
        metrics.fid(x, x[0])
    with pytest.raises(ValueError, match="reference has 4 features and samples 3"):
        metrics.fid(x, x[:, :3])
    assert metrics.scores(x, x[:7])["precision"] == 1.0  # the least that will do
