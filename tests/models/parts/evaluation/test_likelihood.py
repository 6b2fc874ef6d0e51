"""Bits per dimension on densities and masses of which they are known."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from models.data import dataset as datasets
from models.data.dataset import Data, Split
from models.parts.evaluation.likelihood import (
    bits,
    dequantise,
    discretised_logistic,
    level_bytes,
    levels,
    ranks,
    scores,
    strangeness,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def of_bytes(values: list[int]) -> Data:
    split = Split(np.array(values, np.uint8).reshape(1, 1, 1, -1), np.zeros(1, np.int64))
    return Data("npz:x", "x", split, split, split, ("0",), "")


def test_levels_are_those_of_the_data() -> None:
    assert levels(datasets.load("digits", Path("data"))) == 17
    assert levels(of_bytes([0, 255])) == 2
    assert levels(of_bytes([0, 128, 255])) == 3
    assert levels(of_bytes(list(range(256)))) == 256
    assert levels(of_bytes([0, 3, 255])) == 256, "values that are not evenly spaced"
    assert levels(of_bytes([7])) == 256


@pytest.mark.parametrize("n", [2, 5, 17, 256])
def test_every_level_is_known_by_its_pixel(n: int) -> None:
    pixels = datasets.floats(level_bytes(n))
    assert torch.equal(ranks(pixels, n), torch.arange(n))
    assert (level_bytes(n)[0], level_bytes(n)[-1]) == (0, 255)


@pytest.mark.parametrize("n", [2, 17, 256])
def test_uniform_images_have_the_logarithm_of_their_levels_whatever_the_scale(n: int) -> None:
    """A mass 1/n a pixel; a density 1 on [0, 1]; a density ½ on [-1, 1]."""
    shape = (1, 4, 5)
    assert bits(-20 * math.log(n), shape) == pytest.approx(math.log2(n))
    assert bits(0.0, shape, 1 / n) == pytest.approx(math.log2(n))
    assert bits(-20 * math.log(2), shape, 2 / n) == pytest.approx(math.log2(n))
    assert bits(20 * math.log(n / 2), shape, 2 / n) == pytest.approx(0), "all probability in the cell of one level"


def test_dequantised_pixels_are_uniform_in_their_cells_and_drawn_anew() -> None:
    numbers, chance = torch.randint(17, (50, 1, 8, 8), generator=generator()), generator(1)
    first, second = dequantise(numbers, 17, chance), dequantise(numbers, 17, chance)
    assert first.min() >= 0 and first.max() < 1 and not torch.equal(first, second)
    assert ((first * 17).floor() != numbers).float().mean() < 1e-4, "single precision may round into the next"
    inside = (first * 17 - numbers).flatten().sort().values
    assert (inside - torch.linspace(0, 1, len(inside))).abs().max() < 0.03


def test_a_density_that_is_known_bounds_the_mass_from_above() -> None:
    """p(x) = 2x on [0, 1] in two cells: masses ¼ and ¾. The bound is above the bits of the image, which are 0.415 at best."""
    numbers = torch.ones(20_000, 1, 1, 1).long()
    nats = (2 * dequantise(numbers, 2, generator())).log().flatten()
    found = scores(nats, (1, 1, 1), cell=0.5)
    exact = -math.log2(0.75)
    assert exact < found["likelihood/bits_per_dimension"] < exact + 0.1
    expected = -(math.log(2) - 1 + math.log(2)) / math.log(2) + 1  # −E log₂(2x) + 1 for x in [½, 1]
    error = found["likelihood/bits_per_dimension_error"]
    assert found["likelihood/bits_per_dimension"] == pytest.approx(expected, abs=4 * error)


def test_the_standard_error_is_over_images() -> None:
    found = scores(torch.tensor([-4.0, -8.0]) * math.log(2), (1, 2, 2), "_x")
    assert found["likelihood/bits_per_dimension_x"] == pytest.approx(1.5)
    assert found["likelihood/bits_per_dimension_x_error"] == pytest.approx(0.5)
    assert found["likelihood/nats_x"] == pytest.approx(-6 * math.log(2))


@pytest.mark.parametrize("n", [2, 17, 256])
@pytest.mark.parametrize("mean", [-1.5, 0.3, 4.0])
@pytest.mark.parametrize("log_scale", [-9.0, -3.0, 1.0])
def test_a_discretised_logistic_adds_up_to_one(n: int, mean: float, log_scale: float) -> None:
    law = discretised_logistic(torch.arange(n), torch.tensor(mean).double(), torch.tensor(log_scale).double(), n)
    assert float(law.exp().sum()) == pytest.approx(1, abs=1e-9) and float(law.max()) <= 0
    assert bool(law.isfinite().all()), "also far in the tails"


@pytest.mark.parametrize("log_scale", [-100.0, 0.0, 100.0])
@pytest.mark.parametrize("mean", [-1e4, 0.0, 1e4])
def test_no_pixel_is_impossible_however_wide_or_far_the_logistic(log_scale: float, mean: float) -> None:
    """A decoder may say anything of an image that is nothing like its data."""
    nats = discretised_logistic(torch.arange(256), torch.tensor(mean), torch.tensor(log_scale), 256)
    assert nats.isfinite().all() and float(nats.max()) <= 0
    if mean == 0:
        assert float(nats.exp().sum()) == pytest.approx(1, abs=1e-3)


def test_a_discretised_logistic_is_the_difference_of_its_distribution_function() -> None:
    law = discretised_logistic(torch.tensor([8]), torch.tensor(0.1).double(), torch.tensor(-1.0).double(), 17)
    upper, lower = ((2 * edge / 17 - 1 - 0.1) / math.exp(-1) for edge in (9, 8))
    assert float(law.exp()) == pytest.approx(1 / (1 + math.exp(-upper)) - 1 / (1 + math.exp(-lower)))


def test_a_simple_image_that_is_likely_is_strange_and_what_is_as_likely_as_training_is_typical() -> None:
    noise = torch.rand(3, 1, 28, 28, generator=generator()) * 2 - 1
    images = torch.cat([torch.full_like(noise[:1], -1.0), noise[:1]])
    found = strangeness(torch.tensor([-10.0, -50.0]), images, -50.0)
    assert found["likelihood"].tolist() == [10, 50] and found["typicality"].tolist() == [40, 0]
    assert found["complexity"][0] > found["complexity"][1], "a blank image that is likelier is stranger"
