"""The user's own image files: a sub-folder for each class, as they are, or brought to one size and to black and white."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.data.arrays import LEAST_SIDE, Arrays, DataError, channels_first, refuse_rare, refuse_small

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"}
SHARES = (70, 15, 15)  # percent of training, validation and test
OPTIONS = "85/10/5, size=28, invert, binary"


class Options(NamedTuple):
    """What is said behind a folder's path, each after a colon."""

    shares: tuple[int, int, int] = SHARES
    size: int | None = None  # pixels of a side: images of any size and mode are made grey and this large
    invert: bool = False  # for dark figures on white paper
    binary: bool = False  # each pixel is black or white: above the middle of the image's darkest and brightest, or not


def parsed(text: str) -> tuple[Path, Options]:
    """``PATH:85/10/5:size=28:invert:binary`` as a folder and its options, all of which may be left out. Raises DataError."""
    path, *parts = re.split(r":(?=\d+/\d+(?:/\d+)?(?::|$)|\w+=\w*(?::|$)|(?:invert|binary)(?::|$))", text)
    options: dict[str, Any] = {}
    for part in parts:
        name, _, value = part.partition("=")
        if name in ("invert", "binary") and not value:
            options[name] = True
        elif name == "size" and value.isdecimal() and int(value) >= LEAST_SIDE:
            options["size"] = int(value)
        elif "/" in part and (shares := _shares(part)):
            options["shares"] = shares
        else:
            raise DataError(
                f"'{part}' is no option of folder:{path}; there are {OPTIONS}, each after a colon, "
                f"with percentages that make 100 and a size of at least {LEAST_SIDE}"
            )
    return Path(path), Options(**options)


def image_folder(spec: Path) -> Arrays:
    """The images below the path of ``spec``, see ``parsed``: without a size all of one size, and all grey or all RGB."""
    path, options = parsed(str(spec))
    if not path.is_dir():
        raise DataError(f"there is no folder {path}; folder:PATH wants one with a sub-folder of images for each class")
    classes = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not classes:
        raise DataError(f"{path} has no sub-folders; put the images of each class into a sub-folder named after it")
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    first: tuple[Path, str, tuple[int, int]] | None = None
    for label, entry in enumerate(classes):
        for file in sorted(entry.iterdir()):
            if file.suffix.lower() not in SUFFIXES or file.name.startswith("."):
                continue
            mode, size, pixels = _read(file, options)
            if mode not in ("L", "RGB"):
                raise DataError(
                    f"{file} has mode {mode}; convert all images to L (grey) or all to RGB, or say :size=28"
                )
            first = first or (file, mode, size)
            if (mode, size) != first[1:]:
                raise DataError(
                    f"{file} is {size[0]}×{size[1]} {mode} but {first[0]} is {first[2][0]}×{first[2][1]} {first[1]}; "
                    "bring all images to one size and mode, or say :size=28 behind the path"
                )
            images.append(pixels)
            labels.append(label)
    if not images:
        raise DataError(f"the sub-folders of {path} hold no images; put files that end in .png or .jpg there")
    names = tuple(entry.name for entry in classes)
    refuse_small(str(path), images[0].shape)
    refuse_rare(str(path), np.bincount(labels, minlength=len(names)), names)
    _, validation, test = (round(share / 100 * len(images)) for share in options.shares)
    pixels = channels_first(np.stack(images))
    return Arrays(str(path.resolve()), pixels, np.asarray(labels, np.int64), names, validation, test)


def _shares(text: str) -> tuple[int, int, int] | None:
    """Percentages of training, validation and test; with two, a tenth of the first is for validation. None if they are none."""
    shares = [int(share) for share in text.split("/")]
    if len(shares) == 2:
        shares[:1] = [shares[0] - round(shares[0] / 10), round(shares[0] / 10)]
    if len(shares) != 3 or min(shares) < 1 or sum(shares) != 100:
        return None
    return shares[0], shares[1], shares[2]


def _read(file: Path, options: Options) -> tuple[str, tuple[int, int], NDArray[np.uint8]]:
    """Mode, size and pixels of an image file, as the options have it. Raises DataError where it cannot be read."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            if options.size is not None:
                ground = Image.new("RGBA", image.size, "white")  # what is transparent is paper
                grey = Image.alpha_composite(ground, image.convert("RGBA")).convert("L")
                mode, size = "L", (options.size, options.size)
                pixels = np.asarray(grey.resize(size, Image.Resampling.BOX if min(grey.size) >= options.size else None))
            else:
                mode, size, pixels = image.mode, image.size, np.asarray(image)
    except Exception as error:  # Pillow's decoders raise whatever they meet
        raise DataError(f"{file} cannot be read as an image ({error}); repair or remove it") from error
    if options.invert:
        pixels = 255 - pixels
    if options.binary:
        middle = (int(pixels.min()) + int(pixels.max())) / 2
        pixels = np.where(pixels > middle, 255, 0).astype(np.uint8)
    return mode, size, pixels
