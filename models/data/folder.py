"""The user's own image files: a sub-folder for each class, as they are, or brought to one size and to black and white.

What lies deeper below a class's folder belongs to the class. Folders train, val and test above the classes divide the images.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.data import image_file
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
from models.data.image_file import SUFFIXES, ImageFile

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
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
        files, notes = _files_of_splits(path, options)
    except OSError as error:
        raise DataError(f"{path} cannot be looked through ({error}); make its folders readable") from error
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


Files = Mapping[str, Sequence[Path]]  # by class


def _files_of_splits(path: Path, options: Options) -> tuple[dict[str, Files], list[str]]:
    """The files of each class for training, and for validation and test where folders say so; and what was left out."""
    splits = _splits(path)
    files: dict[str, Files] = {}
    notes = [f"the images are divided as the folders {', '.join(folder.name for folder in splits.values())} say"]
    if len(splits) < 2:
        notes.clear()
    unread = list[Path]()
    for part, folder in (splits or {"train": path}).items():
        classes = _visible(folder)
        if not classes:
            raise DataError(
                f"{folder} has no sub-folders; put the images of each class into a sub-folder named after it"
            )
        by_class = {entry.name: [*_below(entry)] for entry in classes}
        unread += [file for found in by_class.values() for file in found if file.suffix.lower() not in SUFFIXES]
        unread += [file for file in folder.iterdir() if _is_image(file)]
        by_class = {name: [file for file in found if _is_image(file)] for name, found in by_class.items()}
        if empty := [name for name, found in by_class.items() if not found]:
            notes.append(f"folders without images are left out: {', '.join(empty)}")
        files[part] = {name: found for name, found in by_class.items() if found}
        if not files[part]:
            raise DataError(f"the sub-folders of {folder} hold no images; put files that end in .png or .jpg there")
    if unread:
        names = ", ".join(file.name for file in unread[:3])
        notes.append(f"{len(unread)} files are no images by their names, or lie in no class, and are left out: {names}")
    if len(splits) > 1 and options.shares:  # said anew, so all images are divided together
        merged: dict[str, list[Path]] = {}
        for part_files in files.values():
            for name, found in part_files.items():
                merged.setdefault(name, []).extend(found)
        return {"train": merged}, [
            f"the images of all folders are divided anew by {'/'.join(map(str, options.shares))}",
            *notes[1:],
        ]
    return files, notes


def _splits(path: Path) -> dict[str, Path]:
    """The folders train, val and test, by what they are; {} where the folders are classes. Raises DataError for a half of it."""
    top = _visible(path)
    named = [(part, folder) for folder in top if (part := _split_of(folder.name))]
    splits = dict(named)
    if len(top) == 1 and (
        named or any(_visible(folder) for folder in top) and not any(map(_is_image, top[0].iterdir()))
    ):
        if named and named[0][0] == "train" and _visible(top[0]):
            return splits
        raise DataError(
            f"{path} holds the folder {top[0].name} alone; if the classes are inside it, say folder:{path / top[0].name}"
        )
    if len(named) < 2:
        return {}
    others = [folder.name for folder in top if not _split_of(folder.name)]
    flat = [folder.name for _, folder in named if not _visible(folder)]
    if "train" not in splits or len(splits) < len(named) or others or flat:
        wrong = (
            f"{flat[0]} has no sub-folders of classes"
            if flat
            else f"{others[0]} is neither"
            if others
            else "there is no train"
            if "train" not in splits
            else "two of them are the same part"
        )
        raise DataError(
            f"{path} looks divided into {', '.join(folder.name for _, folder in named)}, but {wrong}; keep train, val and "
            "test with the classes in each, and nothing beside them"
        )
    return splits


def _split_of(name: str) -> str | None:
    """Of "train", "Test_set" and "validation images"."""
    letters = re.sub(r"[^a-z]", "", name.lower())
    return SPLITS.get(letters) or SPLITS.get(re.sub(r"(set|images|data)$", "", letters))


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and not _hidden(file.name) and not file.is_dir()


def _visible(folder: Path) -> list[Path]:
    """Sub-folders without what systems leave behind."""
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not _hidden(entry.name))


def _hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX"))


def _below(folder: Path) -> Iterator[Path]:
    """All files of a class, those of its sub-folders too. A link back to a folder above is not followed."""
    seen = {os.path.realpath(above) for above in folder.absolute().parents}
    for root, folders, files in os.walk(folder, followlinks=True, onerror=_raise):
        seen.add(os.path.realpath(root))
        folders[:] = sorted(
            name for name in folders if not _hidden(name) and os.path.realpath(os.path.join(root, name)) not in seen
        )
        for name in sorted(files):
            if not _hidden(name):
                yield Path(root, name)


def _raise(error: OSError) -> None:
    raise error


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
