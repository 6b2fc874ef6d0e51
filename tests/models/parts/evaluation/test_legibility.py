"""What a judge sees in generated images, by hand."""

import math
from typing import cast

import pytest
import torch
from torch import Tensor

from models.parts.evaluation.judge import Judge
from models.parts.evaluation.legibility import judged_classes


class Probabilities:
    """A judge of images that are their own probabilities (n, classes)."""

    knows_classes = True

    def predict(self, images: Tensor) -> Tensor:
        return images


def test_classes_are_counted_and_confidence_is_the_largest_probability() -> None:
    """Two images of the first class, one of the third and one of the fourth; none of the second."""
    images = torch.tensor([[0.95, 0.05, 0.0, 0.0], [0.6, 0.2, 0.1, 0.1], [0.0, 0.0, 1.0, 0.0], [0.0, 0.3, 0.2, 0.5]])
    values = judged_classes(cast(Judge, Probabilities()), "_real", images)
    assert values == pytest.approx(
        {
            "classes/entropy_real": 0.5 * math.log(2) + 2 * 0.25 * math.log(4),
            "classes/present_real": 3,
            "legibility/confidence_real": (0.95 + 0.6 + 1 + 0.5) / 4,
            "legibility/share_real": 0.5,
        }
    )
