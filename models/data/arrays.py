"""What every reader of data returns, and how a data set that nobody has divided is split."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CLASSES = tuple("0123456789")
VALIDATION = 5_000  # images of an official training set: MNIST's customary number


class DataError(ValueError):
    """Data that cannot be used. The message is one sentence that says what is wrong and the way out."""


class Arrays(NamedTuple):
    """A data set as it was found, and how many of its images are to be held out."""

    source: str
    images: NDArray[np.uint8]  # (n, channels, height, width)
    labels: NDArray[np.int64]  # (n,), an index into classes
    classes: tuple[str, ...]
    validation: int  # images to hold out
    test: int | tuple[NDArray[np.uint8], NDArray[np.int64]]  # images to hold out, or an official split


def held_out(n: int) -> tuple[int, int]:
    """Images of ``n`` for validation and for test where nobody has divided them: 85/10/5."""
    return round(0.10 * n), round(0.05 * n)
