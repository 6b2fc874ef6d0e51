"""What every reader of data returns, and what it refuses."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import psutil
from numpy.typing import NDArray

CLASSES = tuple("0123456789")
LEAST_SIDE = 4  # pixels; networks halve an image down to that
VALIDATION = 5_000  # images of an official training set: MNIST's customary number
UNLABELLED = "unlabelled"  # the one class of images without labels
ONE_CLASS = (
    "the images have no classes to tell apart, so scores are by a judge that learned which way up an image is, and nothing "
    "is said of classes and legibility"
)

Part = tuple[NDArray[np.uint8], NDArray[np.int64]]  # images and their labels


class DataError(ValueError):
    """Data that cannot be used. The message is one sentence that says what is wrong and the way out."""


class Arrays(NamedTuple):
    """A data set as it was found, and how many of its images are to be held out."""

    source: str
    images: NDArray[np.uint8]  # (n, channels, height, width)
    labels: NDArray[np.int64]  # (n,), an index into classes
    classes: tuple[str, ...]
    validation: int | Part  # images to hold out, or an official split
    test: int | Part  # likewise
    notes: tuple[str, ...] = ()  # what was converted or left out, a sentence each


def held_out(n: int) -> tuple[int, int]:
    """Images of ``n`` for validation and for test where nobody has divided them: 85/10/5."""
    return round(0.10 * n), round(0.05 * n)


def refuse_small(where: str, shape: Sequence[int]) -> None:
    """Raises DataError where images (height, width, …) are too small to be halved."""
    height, width = shape[:2]
    if min(height, width) < LEAST_SIDE:
        raise DataError(
            f"{where} has images of {height}×{width} pixels; scale them to at least {LEAST_SIDE}×{LEAST_SIDE}"
        )


def refuse_rare(where: str, counts: NDArray[np.int64], names: Sequence[str]) -> None:
    """Raises DataError where a class has too few images for three splits."""
    rarest = int(counts.argmin())
    if counts[rarest] < 3:  # one for each split
        raise DataError(
            f"{where} has {counts[rarest]} images of class {names[rarest]}; add some, at least 3 are needed"
        )


def refuse_large(where: str, n_bytes: int) -> None:
    """Raises DataError where images of so many bytes would fill the memory: they are held twice while they are divided."""
    available = psutil.virtual_memory().available
    if n_bytes > available / 2:
        raise DataError(
            f"{where} would take {n_bytes / 1e9:,.1f} GB, and {available / 1e9:,.1f} GB of memory are free, of which half "
            "can be used; take fewer or smaller images"
        )


def channels_first(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n, H, W) or (n, H, W, C) -> (n, C, H, W), one image after another in memory."""
    return np.ascontiguousarray(images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2))
