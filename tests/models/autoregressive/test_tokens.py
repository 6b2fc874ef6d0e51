"""Images become tokens and images again."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from models.autoregressive.config import Config, ImageGPTConfig
from models.autoregressive.tokens import Tokens
from models.data import dataset as datasets
from models.data.dataset import DataError


def test_a_patch_of_binary_pixels_is_one_of_sixteen_tokens_without_loss() -> None:
    config = ImageGPTConfig(patch=2)
    assert config.vocabulary == 16
    tokens = Tokens(config, (1, 6, 8))
    images = (torch.rand(50, 1, 6, 8, generator=torch.Generator().manual_seed(0)) > 0.5).float() * 2 - 1
    encoded = tokens.encode(images)
    assert encoded.shape == (50, 12) and set(encoded.flatten().tolist()) == set(range(16))
    assert torch.equal(tokens.decode(encoded), images) and tokens.distortion(images) == 0


def test_places_are_in_the_order_of_reading() -> None:
    """The third token of the second row of patches is that of the pixels of rows 2 and 3, columns 4 and 5."""
    tokens = Tokens(ImageGPTConfig(patch=2), (1, 6, 8))
    image = torch.full((1, 1, 6, 8), -1.0)
    image[0, 0, 2, 5] = image[0, 0, 3, 4] = 1.0
    encoded = tokens.encode(image)
    assert encoded[0].nonzero().flatten().tolist() == [4 + 2] and tokens.pixel_states()[encoded[0, 6]].tolist() == [
        0,
        1,
        1,
        0,
    ]


def test_digits_have_seventeen_tokens_without_loss() -> None:
    images = datasets.load("digits", Path("data")).validation.floats()
    tokens = Tokens(Config(levels=17), (1, 8, 8))
    torch.testing.assert_close(tokens.decode(tokens.encode(images)), images)
    assert tokens.distortion(images) < 1e-12


def test_k_means_loses_less_than_even_levels_and_says_how_much() -> None:
    digits = datasets.load("digits", Path("data"))
    even, fitted = (Tokens(Config(levels=4), (1, 8, 8)) for _ in range(2))
    fitted.fit(digits.train.floats())
    assert fitted.palette.sort().values.tolist() == fitted.palette.tolist()
    images = digits.validation.floats()
    by_hand = (fitted.decode(fitted.encode(images)) - images).square().double().mean()
    assert fitted.distortion(images) == pytest.approx(float(by_hand)) and 0 < fitted.distortion(
        images
    ) < even.distortion(images)


def test_each_mean_is_the_mean_of_its_pixels() -> None:
    tokens = Tokens(Config(levels=3), (1, 4, 4))
    images = torch.tensor([-1.0] * 10 + [-0.8, -0.9, 0.5, 0.7, 1.0, 1.0])[None, None, None].view(1, 1, 4, 4)
    tokens.fit(images)
    numbers = tokens.numbers(images)
    for number in range(3):
        assert float(tokens.palette[number]) == pytest.approx(float(images[numbers == number].mean()), abs=1e-6)


def test_too_few_grey_values_are_refused() -> None:
    with pytest.raises(DataError, match="2 grey values, fewer than levels=3; set levels=2"):
        Tokens(Config(levels=3), (1, 2, 2)).fit(torch.tensor([[[[-1.0, 1.0], [1.0, 1.0]]]]))


def test_a_vocabulary_that_is_too_large_is_refused_with_the_way_out() -> None:
    with pytest.raises(ValidationError, match="83521 tokens; set patch=1, or levels of at most 4"):
        ImageGPTConfig(patch=2, levels=17)
