"""The user's own data: a folder of image files, an ``.npz`` file, or Hoda's files."""

import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.data.arrays import VALIDATION, Arrays, DataError
from models.data.hoda import hoda

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"}
HELD_OUT = 0.15  # of a folder, for validation and for test each
NAMES = ("x_train", "y_train", "x_test", "y_test")
LEAST_SIDE = 4  # pixels; networks halve an image down to that


def image_folder(path: Path) -> Arrays:
    """Image files, a class per sub-folder, all of one size and either all grey or all RGB."""
    from PIL import Image

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
            try:
                with Image.open(file) as image:
                    mode, size, pixels = image.mode, image.size, np.asarray(image)
            except Exception as error:  # Pillow's decoders raise whatever they meet
                raise DataError(f"{file} cannot be read as an image ({error}); repair or remove it") from error
            if mode not in ("L", "RGB"):
                raise DataError(f"{file} has mode {mode}; convert all images to L (grey) or all to RGB")
            first = first or (file, mode, size)
            if (mode, size) != first[1:]:
                raise DataError(
                    f"{file} is {size[0]}×{size[1]} {mode} but {first[0]} is {first[2][0]}×{first[2][1]} {first[1]}; "
                    "bring all images to one size and mode"
                )
            images.append(pixels)
            labels.append(label)
    if not images:
        raise DataError(f"the sub-folders of {path} hold no images; put files that end in .png or .jpg there")
    names = tuple(entry.name for entry in classes)
    _refuse_small(str(path), images[0].shape)
    _refuse_rare(str(path), np.bincount(labels, minlength=len(names)), names)
    held_out = round(HELD_OUT * len(images))
    pixels = _channels_first(np.stack(images))
    return Arrays(str(path.resolve()), pixels, np.asarray(labels, np.int64), names, held_out, held_out)


def npz_file(path: Path) -> Arrays:
    """Arrays ``x_train``, ``y_train``, ``x_test``, ``y_test`` of a file that ``numpy.savez`` wrote."""
    if not path.is_file():
        raise DataError(f"there is no file {path}; npz:FILE wants one with x_train, y_train, x_test and y_test")
    arrays = _arrays(path)
    for part in ("train", "test"):
        _refuse_arrays(path, part, arrays[f"x_{part}"], arrays[f"y_{part}"])
    train, test = arrays["x_train"], arrays["x_test"]
    if train.shape[1:] != test.shape[1:]:
        raise DataError(f"{path}: x_train has images {train.shape[1:]} but x_test {test.shape[1:]}; make them equal")
    values, labels = np.unique(arrays["y_train"], return_inverse=True)
    names = tuple(str(value) for value in values)
    _refuse_rare(f"{path}: x_train", np.bincount(labels), names)
    unknown_classes = np.setdiff1d(arrays["y_test"], values)
    if len(unknown_classes):
        raise DataError(
            f"{path}: class {unknown_classes[0]} of y_test is not in y_train; add images of it or leave it out"
        )
    official = _channels_first(test), np.searchsorted(values, arrays["y_test"]).astype(np.int64)
    validation = min(round(len(train) / 6), VALIDATION)
    return Arrays(str(path.resolve()), _channels_first(train), labels.astype(np.int64), names, validation, official)


FORMS: Mapping[str, tuple[str, Callable[[Path], Arrays]]] = {
    "folder": ("folder:PATH", image_folder),
    "npz": ("npz:FILE", npz_file),
    "hoda": ("hoda:FOLDER", hoda),
}


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as opened:  # numpy leaves a file open that it cannot read
            file = np.load(opened, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise DataError(f"{path} holds a single array; write {', '.join(NAMES)} with numpy.savez")
            missing = [name for name in NAMES if name not in file.files]
            if not missing:
                return {name: file[name] for name in NAMES}
            present = ", ".join(file.files) or "nothing"
    except DataError:
        raise
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is no whole .npz file ({error}); write it anew with numpy.savez") from error
    except ValueError as error:
        raise DataError(f"{path} cannot be read ({error}); write plain arrays of numbers with numpy.savez") from error
    raise DataError(f"{path} has no {', '.join(missing)} but holds {present}; rename or add arrays")


def _refuse_arrays(path: Path, part: str, x: NDArray[Any], y: NDArray[Any]) -> None:
    where = f"{path}: x_{part}"
    if x.dtype != np.uint8:
        way = (
            "multiply values in [0, 1] by 255 and use astype('uint8')" if x.dtype.kind == "f" else "use astype('uint8')"
        )
        raise DataError(f"{where} is {x.dtype} where uint8 from 0 to 255 is wanted; {way}")
    if x.ndim not in (3, 4):
        raise DataError(f"{where} has shape {x.shape}; make it (n, height, width) or (n, height, width, channels)")
    if x.ndim == 4 and x.shape[3] not in (1, 3):
        raise DataError(f"{where} has {x.shape[3]} channels in its last axis; move 1 or 3 channels there")
    if not np.issubdtype(y.dtype, np.integer):
        raise DataError(f"{path}: y_{part} is {y.dtype} where integers are wanted; use astype('int64')")
    if y.ndim != 1:
        raise DataError(f"{path}: y_{part} has shape {y.shape} where (n,) is wanted; use y_{part}.ravel()")
    if len(x) != len(y):
        raise DataError(f"{where} has {len(x)} images but y_{part} has {len(y)} labels; make them as many")
    if not len(x):
        raise DataError(f"{where} is empty; put images into it")
    _refuse_small(where, x.shape[1:])


def _refuse_small(where: str, shape: Sequence[int]) -> None:
    height, width = shape[:2]
    if min(height, width) < LEAST_SIDE:
        raise DataError(
            f"{where} has images of {height}×{width} pixels; scale them to at least {LEAST_SIDE}×{LEAST_SIDE}"
        )


def _refuse_rare(where: str, counts: NDArray[np.int64], names: Sequence[str]) -> None:
    if len(names) < 2:
        raise DataError(
            f"{where} has only the class {names[0]}; add a second, for the judge learns to tell classes apart"
        )
    rarest = int(counts.argmin())
    if counts[rarest] < 3:  # one for each split
        raise DataError(
            f"{where} has {counts[rarest]} images of class {names[rarest]}; add some, at least 3 are needed"
        )


def _channels_first(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n, H, W) or (n, H, W, C) -> (n, C, H, W)."""
    return images[:, None] if images.ndim == 3 else np.ascontiguousarray(images.transpose(0, 3, 1, 2))
