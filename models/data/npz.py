"""The user's own arrays: an ``.npz`` file with the names of Keras, or with those of MedMNIST."""

import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from models.data import values
from models.data.arrays import (
    VALIDATION,
    Arrays,
    DataError,
    Part,
    channels_first,
    refuse_large,
    refuse_rare,
    refuse_small,
)


class Names(NamedTuple):
    """Two arrays of a file: images and their labels."""

    images: str
    labels: str


KERAS = {"train": Names("x_train", "y_train"), "val": Names("x_val", "y_val"), "test": Names("x_test", "y_test")}
MEDMNIST = {part: Names(f"{part}_images", f"{part}_labels") for part in ("train", "val", "test")}
WANTED = "x_train, y_train, x_test and y_test"


def npz_file(path: Path) -> Arrays:
    """A file that ``numpy.savez`` wrote: images and labels for training and test, and for validation where it has them."""
    if not path.is_file():
        wrong = f"{path} is no regular file" if path.exists() else f"there is no file {path}"
        raise DataError(f"{wrong}; npz:FILE wants one with {WANTED}")
    arrays, unused = _arrays(path)
    layout = MEDMNIST if MEDMNIST["train"].images in arrays else KERAS
    parts = {part: names for part, names in layout.items() if names.images in arrays}
    values.pixels(str(path), {names.images: arrays[names.images] for names in parts.values()})
    for names in parts.values():  # of a file without labels
        arrays.setdefault(names.labels, np.zeros(len(arrays[names.images]), np.int64))
    labels = {part: values.labels(str(path), names.labels, arrays[names.labels]) for part, names in parts.items()}
    for part, names in parts.items():
        _refuse_arrays(path, names, arrays[names.images], labels[part])
    train = arrays[layout["train"].images]
    for names in parts.values():
        if train.shape[1:] != (shape := arrays[names.images].shape[1:]):
            raise DataError(
                f"{path}: {layout['train'].images} has images {train.shape[1:]} but {names.images} {shape}; make them equal"
            )
    numbers, numbered = np.unique(labels["train"], return_inverse=True)
    classes = tuple(str(number) for number in numbers)
    refuse_rare(f"{path}: {layout['train'].images}", np.bincount(numbered), classes)
    official = dict[str, Part]()
    for part in parts.keys() - {"train"}:
        if len(unknown := np.setdiff1d(labels[part], numbers)):
            raise DataError(
                f"{path}: class {unknown[0]} of {layout[part].labels} is not in {layout['train'].labels}; add images of it "
                "or leave it out"
            )
        official[part] = (
            channels_first(arrays[layout[part].images]),
            np.searchsorted(numbers, labels[part]).astype(np.int64),
        )
    validation = official.get("val", min(round(len(train) / 6), VALIDATION))
    images = channels_first(train)
    notes = [f"arrays of the file that are left out: {', '.join(unused[:5])}"] if unused else []
    labels_of_train = numbered.astype(np.int64)
    return Arrays(str(path.resolve()), images, labels_of_train, classes, validation, official["test"], (*notes,))


def _arrays(path: Path) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """The arrays of a layout, all that it must have and those for validation; and the names of the others."""
    try:
        with path.open("rb") as opened:  # numpy leaves a file open that it cannot read
            file = np.load(opened, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise DataError(f"{path} holds a single array; write {WANTED} with numpy.savez")
            layout = MEDMNIST if MEDMNIST["train"].images in file.files else KERAS
            is_labelled = any(names.labels in file.files for names in layout.values())
            names = [name for part in ("train", "test") for name in layout[part][: 1 + is_labelled]]
            missing = [name for name in names if name not in file.files]
            of_validation = {*layout["val"][: 1 + is_labelled]}
            if halves := of_validation & {*file.files}:
                if lacking := of_validation - halves:
                    raise DataError(f"{path} has {halves.pop()} without {lacking.pop()}; add it, or leave both out")
                names += [*of_validation]
            if not missing:
                assert file.zip is not None  # it is open
                _refuse_hostile(path, names, file.zip)
                return {name: file[name] for name in names}, [name for name in file.files if name not in names]
            labels = f"{layout['train'].labels} and {layout['test'].labels}"
            optional = "" if is_labelled else f"; labels, {labels}, may be left out"
            present = ", ".join(file.files) or "nothing"
    except DataError:
        raise
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path} is no whole .npz file ({error}); write it anew with numpy.savez") from error
    except (ValueError, SyntaxError, MemoryError, OverflowError) as error:
        raise DataError(f"{path} cannot be read ({error}); write plain arrays of numbers with numpy.savez") from error
    raise DataError(f"{path} has no {', '.join(missing)} but holds {present}; rename or add arrays{optional}")


def _refuse_hostile(path: Path, names: list[str], archive: zipfile.ZipFile) -> None:
    """Raises DataError for arrays larger than memory, and for a header that promises more than follows."""
    members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
    refuse_large(str(path), sum(members[name].file_size for name in names))
    for name in names:
        with archive.open(members[name]) as file:
            version = npy.read_magic(file)
            read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _, dtype = read_header(file)
            size, header = members[name].file_size, file.tell()
        if not dtype.hasobject and (wanted := dtype.itemsize * _product(shape)) != size - header:
            raise DataError(
                f"{path}: {name} promises {wanted:,} bytes and has {size - header:,}; write it anew with numpy.savez"
            )


def _product(shape: tuple[int, ...]) -> int:
    product = 1  # of Python's integers, which do not overflow
    for side in shape:
        product *= side
    return product


def _refuse_arrays(path: Path, names: Names, x: NDArray[Any], y: NDArray[np.int64]) -> None:
    where = f"{path}: {names.images}"
    if x.ndim not in (3, 4):
        raise DataError(f"{where} has shape {x.shape}; make it (n, height, width) or (n, height, width, channels)")
    if x.ndim == 4 and x.shape[3] not in (1, 3):
        kept = {2: "leave the second", 4: "leave the fourth"}.get(x.shape[3])
        way = f"{kept} out: {names.images}[..., :{x.shape[3] - 1}]" if kept else "move 1 or 3 channels there"
        raise DataError(f"{where} has {x.shape[3]} channels in its last axis; {way}")
    if len(x) != len(y):
        raise DataError(f"{where} has {len(x)} images but {names.labels} has {len(y)} labels; make them as many")
    if not len(x):
        raise DataError(f"{where} is empty; put images into it")
    refuse_small(where, x.shape[1:])
