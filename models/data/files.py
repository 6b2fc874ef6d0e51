"""The user's own data: an ``.npz`` file, and the table of all forms: a folder of image files, Hoda's files."""

import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.data.arrays import VALIDATION, Arrays, DataError, channels_first, refuse_rare, refuse_small
from models.data.folder import image_folder
from models.data.hoda import hoda

NAMES = ("x_train", "y_train", "x_test", "y_test")


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
    refuse_rare(f"{path}: x_train", np.bincount(labels), names)
    unknown_classes = np.setdiff1d(arrays["y_test"], values)
    if len(unknown_classes):
        raise DataError(
            f"{path}: class {unknown_classes[0]} of y_test is not in y_train; add images of it or leave it out"
        )
    official = channels_first(test), np.searchsorted(values, arrays["y_test"]).astype(np.int64)
    validation = min(round(len(train) / 6), VALIDATION)
    return Arrays(str(path.resolve()), channels_first(train), labels.astype(np.int64), names, validation, official)


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
    refuse_small(where, x.shape[1:])
