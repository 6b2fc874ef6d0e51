"""Hoda: handwritten Persian digits in ``.cdb`` files, as their authors give them out."""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.data.arrays import CLASSES, Arrays, DataError, held_out

HEADER = 1024  # bytes
SIDE = 28
LARGEST = 24  # pixels of a digit, either way; what is smaller stays as it is, for a ۰ is a small ۵


def hoda(path: Path) -> Arrays:
    """All digits of all ``.cdb`` files of a folder as binary images of 28×28 pixels, white on black, in the middle."""
    files = sorted(file for file in path.glob("*") if file.suffix.lower() == ".cdb") if path.is_dir() else []
    if not files:
        raise DataError(f"there are no .cdb files in {path}; hoda:FOLDER wants the folder where Hoda's are")
    images, labels = [], []
    for file in files:
        if not file.is_file():
            raise DataError(f"{file} is no regular file; remove it")
        try:
            for label, digit in records(file.read_bytes()):
                images.append(fit_to_side(digit))
                labels.append(label)
        except (struct.error, ArithmeticError, ValueError, IndexError, OSError) as error:
            raise DataError(
                f"{file} is no whole .cdb file of binary digits ({error}); put an undamaged one there"
            ) from error
    counts = np.bincount(labels, minlength=10) if labels else np.zeros(10, int)
    if counts.min() < 20:  # at least one for a test split of 5 %
        raise DataError(f"{path} has {counts.min()} images of {counts.argmin()}; at least 20 of each digit are needed")
    pixels = np.stack(images)[:, None].astype(np.uint8) * 255
    return Arrays(str(path.resolve()), pixels, np.asarray(labels, np.int64), CLASSES, *held_out(len(pixels)))


def records(content: bytes) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Label and picture (height, width) of each record of a file.

    Little-endian: a header with height and width at byte 4, their number at 6 and the kind of picture at 522, 0 being binary;
    then for each digit 0xFF, its label, width and height where the header has none, the number of bytes that follow, and in
    these the lengths of runs, row by row, black first, until the width is full.
    """
    height, width, total = struct.unpack_from("<BBI", content, 4)
    if content[522] != 0:
        raise ValueError("its pictures are grey")
    place = HEADER
    for _ in range(total):
        start, label = struct.unpack_from("<BB", content, place)
        if start != 0xFF or label > 9:
            raise ValueError(f"no digit begins at byte {place}")
        place += 2
        rows, columns = height, width
        if not height * width:
            columns, rows = struct.unpack_from("<BB", content, place)
            place += 2
        (n_bytes,) = struct.unpack_from("<H", content, place)
        place += 2
        yield label, _picture(np.frombuffer(content, np.uint8, n_bytes, place), rows, columns)
        place += n_bytes


def _picture(runs: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.bool_]:
    ends = np.cumsum(runs, dtype=np.int64)
    last = np.searchsorted(ends, columns * np.arange(1, rows + 1))  # the run that fills each row
    first = np.concatenate([[0], last[:-1] + 1])
    row = np.searchsorted(last, np.arange(len(runs)))
    white = (np.arange(len(runs)) - first[row]) % 2 == 1
    return np.repeat(white, runs).reshape(rows, columns)


def fit_to_side(digit: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """In the middle of (28, 28), made smaller where it is too large, with its proportions kept."""
    from PIL import Image

    down, right = np.nonzero(digit)
    digit = digit[down.min() : down.max() + 1, right.min() : right.max() + 1] if len(down) else digit[:1, :1]
    shrink = LARGEST / max(digit.shape)
    if shrink < 1:
        height, width = (max(1, round(side * shrink)) for side in digit.shape)
        small = Image.fromarray(digit.astype(np.uint8) * 255).resize((width, height), Image.Resampling.BOX)
        digit = np.asarray(small) > 127
    top, left = ((SIDE - side) // 2 for side in digit.shape)
    image = np.zeros((SIDE, SIDE), np.bool_)
    image[top : top + digit.shape[0], left : left + digit.shape[1]] = digit
    return image
