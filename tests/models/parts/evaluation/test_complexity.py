"""Bits of general codes: of images whose entropy is known, they cannot be fewer and should not be many more."""

import math

import numpy as np
import pytest
import torch

from models.parts.evaluation.complexity import CODES, code_bits, lempel_ziv_markov, pixels_of, png


def drawn(levels: int, *shape: int) -> torch.Tensor:
    """Pixels of equally likely levels, each for itself."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(levels, shape, generator=generator) / (levels - 1) * 2 - 1


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 64, 96)])
@pytest.mark.parametrize("levels", [2, 256])
def test_pixels_that_know_nothing_of_each_other_have_their_entropy(shape: tuple[int, ...], levels: int) -> None:
    entropy = math.prod(shape) * math.log2(levels)
    bits = code_bits(drawn(levels, 4, *shape))
    assert (bits > 0.95 * entropy).all() and (bits < 2 * entropy).all()


def test_a_blank_image_has_no_bits_and_what_repeats_has_few() -> None:
    row = drawn(256, 1, 1, 1, 28)
    blank, rows, noise = code_bits(torch.cat([row * 0 - 1, row, row]).expand(-1, -1, 28, -1).clone()).tolist()[:2] + [
        float(code_bits(drawn(256, 1, 1, 28, 28)))
    ]
    assert blank == 0 and 28 * 8 < rows < 0.15 * noise


def test_of_each_image_it_is_the_shorter_code_whatever_its_batch() -> None:
    images = torch.cat(
        [drawn(2, 2, 1, 28, 28), drawn(256, 2, 1, 28, 28), drawn(256, 1, 1, 1, 28).expand(-1, -1, 28, -1)]
    )
    blank = np.zeros_like(pixels_of(images[0]))
    each = [[8.0 * (code(pixels_of(image)) - code(blank)) for image in images] for code in CODES]
    together = code_bits(images)
    assert together.tolist() == np.min(each, 0).tolist()
    assert torch.equal(together, torch.cat([code_bits(image[None]) for image in images]))


def test_both_codes_are_worth_having() -> None:
    """PNG predicts a pixel by its neighbours, LZMA looks for what came before."""
    slope = torch.arange(28 * 28).view(1, 28, 28) / (28 * 28 - 1) * 2 - 1
    pieces = drawn(256, 1, 1, 7).repeat(1, 28, 4)
    assert png(pixels_of(slope)) < lempel_ziv_markov(pixels_of(slope))
    assert lempel_ziv_markov(pixels_of(pieces)) < png(pixels_of(pieces))
