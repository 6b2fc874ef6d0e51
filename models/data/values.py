"""What is wrong with arrays that are not pixels of one byte or numbers of classes, and what to do about it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.data.arrays import DataError

Array = NDArray[Any]
DARK = 64  # images without a brighter pixel are almost black


def pixels(where: str, arrays: Mapping[str, Array]) -> None:
    """Raises DataError unless all arrays hold uint8 from 0 to 255. The advice is by the values of all of them together."""
    for name, x in arrays.items():
        if x.dtype != np.uint8:
            wrong = f"{where}: {name} is {x.dtype} where uint8 from 0 to 255 is wanted"
            alike = [other for other in arrays.values() if other.dtype == x.dtype]
            raise DataError(f"{wrong}; {_advice(name, alike)}")
        if x.size and x.max() == 1:
            raise DataError(f"{where}: {name} holds only 0 and 1, which are both black; multiply it by 255")


def _advice(name: str, arrays: list[Array]) -> str:
    kinds = {x.dtype.kind for x in arrays}
    if kinds == {"b"}:
        return f"use {name}.astype('uint8') * 255, which times 255 makes black and white"
    if not kinds <= set("biuf"):
        return "images are arrays of numbers"
    unusable = sum(int(np.count_nonzero(~np.isfinite(x))) for x in arrays if x.dtype.kind == "f")
    finite = [x[np.isfinite(x)] if x.dtype.kind == "f" else x for x in arrays]
    low = min((float(x.min()) for x in finite if x.size), default=0.0)
    high = max((float(x.max()) for x in finite if x.size), default=0.0)
    way = _scaled(name, low, high, arrays[0].dtype)
    if unusable:
        return f"{unusable} values are not finite (NaN or infinite): replace them; {way}"
    return way


def _scaled(name: str, low: float, high: float, dtype: np.dtype[Any]) -> str:
    values, fractions = f"values from {low:g} to {high:g}", dtype.kind == "f"
    if low == high:
        return f"all its values are {low:g}, so there is nothing to see"
    if 0 <= low and high <= 1:
        return f"for {values}, multiply by 255: ({name} * 255.0).round().astype('uint8')"
    if -1 <= low and high <= 1:
        return f"for {values}, use (({name} + 1) * 127.5).round().astype('uint8')"
    if 0 <= low and DARK <= high <= 255:
        return f"for {values}, use {name}{'.round()' if fractions else ''}.astype('uint8')"
    if dtype == np.uint16 and high > 4095:
        return f"for 16 bits, divide by 257: ({name} // 257).astype('uint8')"
    minus = f"+ {-low}" if low < 0 else f"- {low}"
    return f"for {values}, use (({name} {minus}) * (255 / {high - low})).round().astype('uint8')"


def dark(highest: int) -> list[str]:
    """A word about images whose brightest pixel is ``highest``; none where they are as bright as images are."""
    return (
        [f"the brightest pixel of all images is {highest} of 255: see that they are scaled"] if highest < DARK else []
    )


def alike(images: NDArray[np.uint8]) -> list[str]:
    """A word about images that are all the same, from which there is nothing to learn; none where two differ."""
    return ["all images are the same: see that they are the right ones"] if (images == images[:1]).all() else []


def labels(where: str, name: str, y: Array) -> NDArray[np.int64]:
    """The labels (n,) of an array (n,) or (n, 1) of whole numbers. Raises DataError where it is anything else."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 2 and y.dtype.kind in "biuf" and len(y) and y.min() >= 0 and np.allclose(y.sum(1), 1):
        raise DataError(f"{where}: {name} has a column for each class, {y.shape}; use {name}.argmax(1)")
    if y.ndim != 1:
        raise DataError(f"{where}: {name} has shape {y.shape} where (n,) is wanted; give each image one class")
    if y.dtype.kind in "US":
        raise DataError(
            f"{where}: {name} is text where integers are wanted; number the classes: names, y_train = "
            "np.unique(y_train, return_inverse=True), then y_test = np.searchsorted(names, y_test)"
        )
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise DataError(f"{where}: {name} has values that are not finite (NaN or infinite); leave those images out")
    if y.dtype.kind == "f" and (y != np.round(y)).any():
        raise DataError(
            f"{where}: {name} holds {y[y != np.round(y)][0]:g}, which is no class; give each image the number of its class"
        )
    if y.dtype.kind not in "iuf":
        raise DataError(f"{where}: {name} is {y.dtype} where integers are wanted; use {name}.astype('int64')")
    return y.astype(np.int64)
