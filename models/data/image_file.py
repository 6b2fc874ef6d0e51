"""One image file of any mode as bytes: grey, or red, green and blue."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.data.arrays import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = {".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"}
SIXTEEN_BITS = {"I", "I;16", "I;16L", "I;16B", "I;16N"}


class ImageFile(NamedTuple):
    """What a file holds."""

    mode: str  # of Pillow: what it was converted from
    pixels: NDArray[np.uint8]  # (height, width), or (height, width, 3) where it has colours
    frames: int = 1  # pictures in the file, of which this is the first


def read(file: Path) -> ImageFile:
    """The image in a file, upright as its camera says; transparent parts become white, as on paper.

    Raises DataError where it cannot be read.
    """
    if not file.is_file():
        raise DataError(f"{file} is no regular file, or a link that leads nowhere; remove it")
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                return ImageFile(image.mode, _bytes(ImageOps.exif_transpose(image)), getattr(image, "n_frames", 1))
    except Exception as error:  # Pillow's decoders raise whatever they meet
        raise DataError(f"{file} cannot be read as an image ({error}); repair or remove it") from error


def _bytes(image: Image) -> NDArray[np.uint8]:
    transparent = "transparency" in image.info
    if image.mode in ("L", "RGB") and not transparent:
        return np.asarray(image)
    if image.mode in SIXTEEN_BITS:
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65_535:
            raise ValueError(f"its values run from {values.min()} to {values.max()}, and 16 bits end at 65535")
        return ((values + 128) // 257).astype(np.uint8)
    if image.mode == "F":
        raise ValueError("its pixels are fractions; write 8 or 16 bits")
    if image.mode == "1":
        return np.asarray(image.convert("L"))
    from PIL.Image import new

    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or transparent:
        image = image.convert("RGBA")
        paper = new("RGBA", image.size, "white")
        paper.alpha_composite(image)
        image = paper
    pixels = np.asarray(image.convert("RGB"))
    grey = pixels[..., 0]
    return grey if (pixels == grey[..., None]).all() else pixels
