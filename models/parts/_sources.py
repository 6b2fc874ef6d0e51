"""Where images come from: sets that are known by name, a folder of image files, an ``.npz`` file."""

import contextlib
import socket
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"}
FORMS = {"folder:": "PATH", "npz:": "FILE"}  # the user's own data: prefix -> what follows it
LEAST_SIDE = 4  # pixels; the networks halve an image down to that
SECONDS_TO_ANSWER = 30.0  # of a server; torchvision itself would wait for ever


class DataError(ValueError):
    """Data that cannot be used. The message is one sentence that says what is wrong and the way out."""


class Arrays(NamedTuple):
    """A data set as it was found. ``test`` is None where it comes unsplit."""

    source: str
    images: NDArray[np.uint8]  # (n, channels, height, width)
    labels: NDArray[np.int64]  # (n,), an index into classes
    classes: tuple[str, ...]
    test: tuple[NDArray[np.uint8], NDArray[np.int64]] | None


def digits(folder: Path) -> Arrays:
    """scikit-learn's 1,797 handwritten digits, 8×8 pixels; nothing is downloaded."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)[:, None]  # grey levels are 0 to 16
    classes = tuple(str(name) for name in found.target_names)
    return Arrays("scikit-learn load_digits", images, found.target.astype(np.int64), classes, None)


def mnist(folder: Path) -> Arrays:
    """MNIST's 60,000 + 10,000 handwritten digits, 28×28 pixels."""
    return _idx("mnist", "MNIST", folder, tuple("0123456789"))


def fashion_mnist(folder: Path) -> Arrays:
    """Zalando's 60,000 + 10,000 pictures of clothes, 28×28 pixels."""
    return _idx("fashion_mnist", "FashionMNIST", folder, None)


def cifar10(folder: Path) -> Arrays:
    """CIFAR-10's 50,000 + 10,000 photographs, 32×32 pixels in colour."""
    place = "cifar-10-python.tar.gz (or the unpacked cifar-10-batches-py)"
    train, test = _torchvision("cifar10", "CIFAR10", folder, folder / "cifar-10-batches-py", lambda kind: (folder, place))
    images, test_images = (np.ascontiguousarray(part.data.transpose(0, 3, 1, 2)) for part in (train, test))
    labels, test_labels = (np.asarray(part.targets, np.int64) for part in (train, test))
    return Arrays("torchvision CIFAR10", images, labels, tuple(train.classes), (test_images, test_labels))


KNOWN: Mapping[str, Callable[[Path], Arrays]] = {
    "digits": digits,
    "mnist": mnist,
    "fashion_mnist": fashion_mnist,
    "cifar10": cifar10,
}


def _idx(name: str, kind: str, folder: Path, classes: tuple[str, ...] | None) -> Arrays:
    raw = folder / kind / "raw"

    def wanted(dataset: Any) -> tuple[Path, str]:
        files = [file for file, _ in dataset.resources if not (raw / file.removesuffix(".gz")).exists()]
        return raw, ", ".join(files)

    train, test = _torchvision(name, kind, folder, raw, wanted)
    images, test_images = (part.data.numpy()[:, None] for part in (train, test))
    labels, test_labels = (part.targets.numpy().astype(np.int64) for part in (train, test))
    return Arrays(f"torchvision {kind}", images, labels, classes or tuple(train.classes), (test_images, test_labels))


def _torchvision(
    name: str, kind: str, folder: Path, kept: Path, wanted: Callable[[Any], tuple[Path, str]]
) -> tuple[Any, Any]:
    """Training and test set of torchvision's ``kind``, downloaded if need be; ``kept`` is where its files lie unpacked.

    ``wanted(kind)`` is the folder and the names of the files that a user without a network has to bring.
    """
    from models.parts._torchvision import mend

    mend()
    import torchvision.datasets

    dataset = getattr(torchvision.datasets, kind)
    with _alone(folder, name):
        try:
            with contextlib.redirect_stdout(sys.stderr), _timeout(SECONDS_TO_ANSWER):
                dataset(folder, download=True)
        except (OSError, RuntimeError, EOFError, HTTPException) as error:
            place, files = wanted(dataset)
            if not files:  # nothing to bring: what is there is broken
                raise _broken(name, kept, error) from error
            reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            raise DataError(
                f"{name} is not in {kept} and could not be downloaded ({reason[0].strip('<>')}); put {files} into {place}"
            ) from error
        except Exception as error:
            raise _broken(name, kept, error) from error
        try:
            return dataset(folder, train=True), dataset(folder, train=False)
        except Exception as error:
            raise _broken(name, kept, error) from error


def _broken(name: str, kept: Path, error: Exception) -> DataError:
    reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
    return DataError(f"{name} in {kept} cannot be read ({reason[0]}); remove its unpacked files and load it again")


@contextlib.contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    """One process at a time downloads and unpacks. A folder that cannot be written to needs neither."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f".{name}.lock")
        lock.acquire()
    except OSError:
        yield
        return
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def image_folder(path: Path) -> Arrays:
    """Image files, a class per sub-folder, all of one size and either all grey or all RGB."""
    from PIL import Image

    if not path.is_dir():
        raise DataError(f"there is no folder {path}; folder:PATH wants a folder with a sub-folder of images for each class")
    classes = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not classes:
        raise DataError(f"{path} has no sub-folders; put the images of each class into a sub-folder named after it")
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    first: tuple[Path, str, tuple[int, int]] | None = None
    for label, entry in enumerate(classes):
        for file in sorted(entry.iterdir()):
            if file.suffix.lower() not in IMAGE_SUFFIXES or file.name.startswith("."):
                continue
            try:
                with Image.open(file) as image:
                    mode, size, pixels = image.mode, image.size, np.asarray(image)
            except Exception as error:  # Pillow's decoders raise whatever they meet
                raise DataError(f"{file} cannot be read as an image ({error}); mend or remove it") from error
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
    names = tuple(entry.name for entry in classes)
    if not images:
        raise DataError(f"there are no images in {path}'s sub-folders; files that end in .png or .jpg are looked for")
    _refuse_small(str(path), images[0].shape[:2])
    _refuse_rare(str(path), np.bincount(labels, minlength=len(names)), names)
    return Arrays(str(path.resolve()), _channels_first(np.stack(images)), np.asarray(labels, np.int64), names, None)


def npz_file(path: Path) -> Arrays:
    """Arrays ``x_train``, ``y_train``, ``x_test``, ``y_test`` of a file that ``numpy.savez`` wrote."""
    if not path.is_file():
        raise DataError(f"there is no file {path}; npz:FILE wants one with x_train, y_train, x_test and y_test")
    needed = ("x_train", "y_train", "x_test", "y_test")
    try:
        with np.load(path, allow_pickle=False) as file:
            present = list(getattr(file, "files", []))
            missing = [key for key in needed if key not in present]
            found = {} if missing else {key: file[key] for key in needed}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise DataError(f"{path} cannot be read ({error}); write it with numpy.savez and plain number arrays") from error
    if missing:
        there = ", ".join(present) or "no named arrays"
        raise DataError(f"{path} has no {', '.join(missing)}; it holds {there}, so rename or add arrays")
    for part in ("train", "test"):
        _refuse_arrays(path, part, found[f"x_{part}"], found[f"y_{part}"])
    train, test = found["x_train"], found["x_test"]
    if train.shape[1:] != test.shape[1:]:
        raise DataError(f"{path}: images of x_train are {train.shape[1:]} and of x_test {test.shape[1:]}; make them equal")
    values, labels = np.unique(found["y_train"], return_inverse=True)
    names = tuple(str(value) for value in values)
    _refuse_rare(f"x_train of {path}", np.bincount(labels), names)
    strangers = np.setdiff1d(found["y_test"], values)
    if len(strangers):
        raise DataError(f"{path}: class {strangers[0]} of y_test is not in y_train; add images of it or leave it out")
    test_labels = np.searchsorted(values, found["y_test"]).astype(np.int64)
    tested = (_channels_first(test), test_labels)
    return Arrays(str(path.resolve()), _channels_first(train), labels.astype(np.int64), names, tested)


def _refuse_arrays(path: Path, part: str, x: NDArray[Any], y: NDArray[Any]) -> None:
    where = f"{path}: x_{part}"
    if x.dtype != np.uint8:
        way = "; multiply values in [0, 1] by 255 and use astype('uint8')" if x.dtype.kind == "f" else "; use astype('uint8')"
        raise DataError(f"{where} is {x.dtype} where uint8 from 0 to 255 is wanted{way}")
    if x.ndim not in (3, 4):
        raise DataError(f"{where} has shape {x.shape}; reshape it to (n, height, width) or (n, height, width, channels)")
    if x.ndim == 4 and x.shape[3] not in (1, 3):
        raise DataError(f"{where} has {x.shape[3]} channels in its last axis; move 1 or 3 channels there")
    if not np.issubdtype(y.dtype, np.integer):
        raise DataError(f"{path}: y_{part} is {y.dtype} where integers are wanted; use astype('int64')")
    if y.ndim != 1:
        raise DataError(f"{path}: y_{part} has shape {y.shape} where one label an image is wanted; use y_{part}.ravel()")
    if len(x) != len(y):
        raise DataError(f"{where} has {len(x)} images but y_{part} has {len(y)} labels; make them as many")
    if not len(x):
        raise DataError(f"{where} is empty; put images into it")
    _refuse_small(where, x.shape[1:3])


def _refuse_small(where: str, size: Sequence[int]) -> None:
    if min(size) < LEAST_SIDE:
        raise DataError(f"{where} has images of {size[0]}×{size[1]} pixels; at least {LEAST_SIDE}×{LEAST_SIDE} are needed")


def _refuse_rare(where: str, counts: NDArray[np.int64], names: Sequence[str]) -> None:
    if len(names) < 2:
        raise DataError(f"{where} has only the class {names[0]}; at least two are needed, as the judge tells them apart")
    rarest = int(counts.argmin())
    if counts[rarest] < 3:  # one for each split
        raise DataError(f"{where} has {counts[rarest]} images of class {names[rarest]}; at least 3 of each are needed")


def _channels_first(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n, H, W) or (n, H, W, C) -> (n, C, H, W)."""
    return images[:, None] if images.ndim == 3 else np.ascontiguousarray(images.transpose(0, 3, 1, 2))
