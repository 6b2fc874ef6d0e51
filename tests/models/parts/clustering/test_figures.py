"""Figures are brought to one place, slant and size, and grouped without a look at labels."""

import pytest
import torch
from torch import Tensor

from models.parts.clustering.figures import SPREAD, figure_clusters, normalised


def bar(top: int, left: int, height: int, slant: float = 0.0) -> Tensor:
    """A white bar, 3 pixels wide, on black: uint8 (1, 1, 28, 28)."""
    image = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    for row in range(height):
        column = round(left + slant * row)
        image[0, 0, top + row, column : column + 3] = 255
    return image


def moments(image: Tensor) -> tuple[float, float, float, float]:
    """Centre (x, y), slant and spread of an image (1, 1, 28, 28), in halves of its side."""
    share = image[0, 0] / image.sum()
    places = (torch.arange(28) * 2 + 1) / 28 - 1
    y, x = torch.meshgrid(places, places, indexing="ij")
    centre_x, centre_y = (share * x).sum(), (share * y).sum()
    from_x, from_y = x - centre_x, y - centre_y
    of_x, of_y = (share * from_x**2).sum(), (share * from_y**2).sum()
    return (
        float(centre_x),
        float(centre_y),
        float((share * from_x * from_y).sum() / of_y),
        float(((of_x + of_y) / 2).sqrt()),
    )


@pytest.mark.parametrize("image", [bar(2, 3, 8), bar(10, 15, 17), bar(5, 4, 18, slant=0.5), bar(4, 20, 14, slant=-0.4)])
def test_the_centre_slant_and_size_of_a_figure_become_the_same_for_all(image: Tensor) -> None:
    x, y, slant, spread = moments(normalised(image))
    assert (x, y, slant) == pytest.approx((0, 0, 0), abs=0.05)
    assert spread == pytest.approx(SPREAD, abs=0.04)


def test_a_black_image_stays_black() -> None:
    assert normalised(torch.zeros(2, 3, 8, 8, dtype=torch.uint8)).abs().max() == 0


def test_figures_of_one_kind_are_one_cluster_wherever_they_stand() -> None:
    bars = [bar(top, left, 12) for top in (2, 8, 14) for left in (3, 10, 20)]
    blocks = [torch.zeros(1, 1, 28, 28, dtype=torch.uint8) for _ in range(9)]
    for number, block in enumerate(blocks):
        block[0, 0, 2 + number : 10 + number, 15 - number : 23 - number] = 255
    images = torch.cat([*bars, *blocks])
    train, others = figure_clusters([images, images[[0, 17]]], 2)
    assert len(set(train[:9].tolist())) == len(set(train[9:].tolist())) == 1 and train[0] != train[9]
    assert others.tolist() == [train[0], train[9]]
