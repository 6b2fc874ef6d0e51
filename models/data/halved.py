"""Images averaged down to half their height and width: of one data set, a quicker one."""

import numpy as np
from numpy.typing import NDArray

from models.data.arrays import LEAST_SIDE, Arrays, DataError

PREFIX = "halved"  # before a colon and the name of the data set


def halved_shape(spec: str, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """(channels, height, width) of the halved images. Raises DataError where the size is odd, or half of it too small."""
    channels, *size = shape
    height, width = size
    if height % 2 or width % 2 or min(size) < 2 * LEAST_SIDE:
        raise DataError(
            f"'{spec}' would halve images of {height}×{width} pixels; take a data set of an even height and width "
            f"of at least {2 * LEAST_SIDE}"
        )
    return channels, height // 2, width // 2


def halved(arrays: Arrays) -> Arrays:
    """Each pixel is the mean of 2×2, rounded; labels and splits stay."""
    validation, test = (
        part if isinstance(part, int) else (_halved(part[0]), part[1]) for part in (arrays.validation, arrays.test)
    )
    source = f"{arrays.source}, 2×2 pixels averaged"
    return arrays._replace(source=source, images=_halved(arrays.images), validation=validation, test=test)


def _halved(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n, channels, height, width) to (n, channels, height / 2, width / 2)."""
    n, channels, height, width = images.shape
    quarters = images.reshape(n, channels, height // 2, 2, width // 2, 2)
    means: NDArray[np.uint8] = np.rint(quarters.sum((3, 5), dtype=np.uint16) / 4).astype(np.uint8)
    return means
