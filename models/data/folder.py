"""The user's own image files: a sub-folder for each class, as they are, or brought to one size and to black and white."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.data import class_folders, image_file
from models.data.arrays import (
    LEAST_SIDE,
    Arrays,
    DataError,
    Part,
    channels_first,
    refuse_large,
    refuse_rare,
    refuse_small,
)
from models.data.image_file import ImageFile

LARGEST_SIDE = 4096
SHARES = (70, 15, 15)  # percent of training, validation and test
OPTIONS = "85/10/5, size=28, invert, binary"


class Options(NamedTuple):
    """What is said behind a folder's path, each after a colon."""

    shares: tuple[int, int, int] | None = None  # SHARES, or as folders of splits say
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
        elif name == "size" and value.isdecimal() and LEAST_SIDE <= int(value) <= LARGEST_SIDE:
            options["size"] = int(value)
        elif "/" in part and (shares := _shares(part)):
            options["shares"] = shares
        else:
            raise DataError(
                f"'{part}' is no option of folder:{path}; there are {OPTIONS}, each after a colon, "
                f"with percentages that make 100 and a size from {LEAST_SIDE} to {LARGEST_SIDE}"
            )
    return Path(path), Options(**options)


def image_folder(spec: Path) -> Arrays:
    """The images below the path of ``spec``, see ``parsed``: without a size all of one size; grey if all are grey, else RGB.

    Raises DataError where there are none, or none that can be used.
    """
    path, options = parsed(str(spec))
    if not path.is_dir():
        raise DataError(f"there is no folder {path}; folder:PATH wants one with a sub-folder of images for each class")
    try:
        tree = class_folders.read(path)
    except OSError as error:
        raise DataError(f"{path} cannot be looked through ({error}); make its folders readable") from error
    files, notes = tree.splits, tree.notes
    if tree.is_divided and options.shares:  # said anew, so all images are divided together
        shares = "/".join(map(str, options.shares))
        files = {"train": tree.together()}
        notes = [f"the images of all folders are divided anew by {shares}", *notes[1:]]
    classes = sorted({name for part in files.values() for name in part}, key=_natural)
    in_training = {*files["train"]}
    if unknown := [name for name in classes if name not in in_training]:
        raise DataError(f"{path}: class {unknown[0]} is not among the training images; add images of it or remove it")
    every = [
        (part, label, file)
        for part in files
        for label, name in enumerate(classes)
        for file in files[part].get(name, [])
    ]
    pixels, converted = _pixels(path, [file for _, _, file in every], options)
    refuse_small(str(path), pixels.shape[1:])
    images, labels = channels_first(pixels), np.array([label for _, label, _ in every], np.int64)
    parts = np.array([part for part, _, _ in every])
    split: dict[str, Part] = {part: (images[parts == part], labels[parts == part]) for part in files}
    train_images, train_labels = split["train"]
    refuse_rare(str(path), np.bincount(train_labels, minlength=len(classes)), classes)
    _, validation, test = (round(share / 100 * len(train_labels)) for share in options.shares or SHARES)
    return Arrays(
        str(path.resolve()),
        train_images,
        train_labels,
        tuple(classes),
        split.get("validation", validation),
        split.get("test", test),
        (*notes, *converted),
    )


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts 2 before 10."""
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def _pixels(path: Path, files: Sequence[Path], options: Options) -> tuple[NDArray[np.uint8], list[str]]:
    """All images, (n, height, width) or (n, height, width, 3), and what was converted."""
    images, modes, several = list[NDArray[np.uint8]](), Counter[str](), 0
    for file in files:
        image = image_file.read(file)
        modes[image.mode] += 1
        several += image.frames > 1
        images.append(_with(options, image))
        if images[-1].shape[:2] != images[0].shape[:2]:
            (height, width), (first_height, first_width) = images[-1].shape[:2], images[0].shape[:2]
            raise DataError(
                f"{file} is {width}×{height} but {files[0]} is {first_width}×{first_height}; "
                "bring all images to one size, or say :size=28 behind the path"
            )
        if len(images) == 1:
            refuse_large(str(path), images[0].nbytes * len(files))
    colours = any(image.ndim == 3 for image in images)
    if colours:
        images = [
            np.broadcast_to(image[..., None], (*image.shape, 3)) if image.ndim == 2 else image for image in images
        ]
    kept = "RGB" if colours else "L"
    others = " and ".join(f"{count} of mode {mode}" for mode, count in sorted(modes.items()) if mode != kept)
    colour = "colour" if colours else "grey"
    notes = [f"images were converted to {colour}: {others}"] if others and options.size is None else []
    if several:
        notes.append(f"{several} files hold several pictures each, of which the first is taken")
    return np.stack(images), notes


def _with(options: Options, image: ImageFile) -> NDArray[np.uint8]:
    from PIL import Image

    pixels = image.pixels
    if options.size is not None:
        grey = Image.fromarray(pixels).convert("L")
        resample = Image.Resampling.BOX if min(grey.size) >= options.size else None
        pixels = np.asarray(grey.resize((options.size, options.size), resample))
    if options.invert:
        pixels = 255 - pixels
    if options.binary:
        middle = (int(pixels.min()) + int(pixels.max())) / 2
        pixels = np.where(pixels > middle, 255, 0).astype(np.uint8)
    return pixels


def _shares(text: str) -> tuple[int, int, int] | None:
    """Percentages of training, validation and test; with two, a tenth of the first is for validation. None if they are none."""
    shares = [int(share) for share in text.split("/")]
    if len(shares) == 2:
        shares[:1] = [shares[0] - round(shares[0] / 10), round(shares[0] / 10)]
    if len(shares) != 3 or min(shares) < 1 or sum(shares) != 100:
        return None
    return shares[0], shares[1], shares[2]
