"""Grids whose rows belong together, of as many images as there are."""

import pytest
import torch

from models.parts.evaluation.pictures import reconstructions
from orchestrator.figures.events import grid


@pytest.mark.parametrize(("n", "shown", "columns"), [(1, 1, 1), (7, 7, 7), (8, 8, 8), (9, 8, 8), (100, 32, 8)])
def test_originals_are_above_what_is_given_back_of_them(n: int, shown: int, columns: int) -> None:
    """Of 44 images 7 are for validation: less than a row."""
    images = torch.rand(n, 1, 4, 4) * 2 - 1
    event = reconstructions(images, -images, 3)
    assert event.columns == columns and len(event.images) == 2 * shown
    rows = event.images.view(-1, 2, columns, 1, 4, 4)
    assert torch.equal(rows[:, 0].flatten(0, 1), images[:shown]) and torch.equal(rows[:, 1], -rows[:, 0])
    assert grid(event).ndim == 3
