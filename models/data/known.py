"""Data sets that are known by name: scikit-learn's digits, rendered Persian ones, and what torchvision downloads."""

import contextlib
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock

from models.data.arrays import CLASSES, VALIDATION, Arrays, DataError

SECONDS_TO_ANSWER = 30.0  # of a server; torchvision itself would wait for ever


def digits(folder: Path) -> Arrays:
    """scikit-learn's 1,797 handwritten digits, 8×8 pixels; nothing is downloaded."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None]  # grey levels are 0 to 16
    fifth = len(images) // 5
    classes = tuple(str(name) for name in bunch.target_names)
    return Arrays("scikit-learn load_digits", images, bunch.target.astype(np.int64), classes, fifth, fifth)


def persian(folder: Path) -> Arrays:
    """10,000 Persian digits rendered from fonts, 28×28 pixels, binary; nothing is downloaded."""
    from models.data import persian as _persian

    return _persian.persian(folder)


def mnist(folder: Path) -> Arrays:
    """MNIST's 60,000 + 10,000 handwritten digits, 28×28 pixels."""
    return _idx("mnist", "MNIST", folder)._replace(classes=CLASSES)


def fashion_mnist(folder: Path) -> Arrays:
    """Zalando's 60,000 + 10,000 pictures of clothes, 28×28 pixels."""
    return _idx("fashion_mnist", "FashionMNIST", folder)


def cifar10(folder: Path) -> Arrays:
    """CIFAR-10's 50,000 + 10,000 photographs, 32×32 pixels in colour."""

    def missing(dataset: Any) -> str:
        return f"{dataset.filename} into {folder}"  # all files have checksums, so a damaged one counts as missing

    train, test = _torchvision("cifar10", "CIFAR10", folder, folder / "cifar-10-batches-py", missing)
    images, test_images = (np.ascontiguousarray(part.data.transpose(0, 3, 1, 2)) for part in (train, test))
    labels, test_labels = (np.asarray(part.targets, np.int64) for part in (train, test))
    official = test_images, test_labels
    return Arrays("torchvision CIFAR10", images, labels, tuple(train.classes), VALIDATION, official)


class KnownSet(NamedTuple):
    """A data set that is known by name."""

    shape: tuple[
        int, int, int
    ]  # channels, height, width: what a study's recipe depends on, known before any image is read
    read: Callable[[Path], Arrays]


KNOWN: Mapping[str, KnownSet] = {
    "digits": KnownSet((1, 8, 8), digits),
    "persian": KnownSet((1, 28, 28), persian),
    "mnist": KnownSet((1, 28, 28), mnist),
    "fashion_mnist": KnownSet((1, 28, 28), fashion_mnist),
    "cifar10": KnownSet((3, 32, 32), cifar10),
}


def available_offline(folder: Path) -> tuple[str, ...]:
    """Names of the known sets that need no download: digits, and those whose files, packed or not, are all in ``folder``.

    Not persian, whose first rendering takes seconds: it is loaded where it is asked for.
    """
    idx = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    cifar = ("batches.meta", "test_batch", *(f"data_batch_{number}" for number in range(1, 6)))
    files = {
        "mnist": [folder / "MNIST" / "raw" / f"{file}-ubyte" for file in idx],
        "fashion_mnist": [folder / "FashionMNIST" / "raw" / f"{file}-ubyte" for file in idx],
        "cifar10": [folder / "cifar-10-batches-py" / file for file in cifar],
    }
    complete = (
        name for name, paths in files.items() if all(p.exists() or p.with_name(f"{p.name}.gz").exists() for p in paths)
    )
    return "digits", *complete


def _idx(name: str, kind: str, folder: Path) -> Arrays:
    raw = folder / kind / "raw"

    def missing(dataset: Any) -> str:
        files = [file for file, _ in dataset.resources if not (raw / file.removesuffix(".gz")).exists()]
        return f"{', '.join(files)} into {raw}" if files else ""

    train, test = _torchvision(name, kind, folder, raw, missing)
    images, test_images = (part.data.numpy()[:, None] for part in (train, test))
    labels, test_labels = (part.targets.numpy().astype(np.int64) for part in (train, test))
    official = test_images, test_labels
    return Arrays(f"torchvision {kind}", images, labels, tuple(train.classes), VALIDATION, official)


def _torchvision(name: str, kind: str, folder: Path, unpacked: Path, missing: Callable[[Any], str]) -> tuple[Any, Any]:
    """Training and test set of torchvision's ``kind``, downloaded into ``folder`` and unpacked there if need be.

    ``missing(dataset)`` says which files a user without a network has to put where; "" if none is missing.
    """
    from models.data.torchvision_fix import declare_missing_operators

    declare_missing_operators()
    import torchvision.datasets

    dataset = getattr(torchvision.datasets, kind)
    with _download_lock(folder, name, unpacked):
        try:
            with contextlib.redirect_stdout(sys.stderr), _timeout(SECONDS_TO_ANSWER):
                train = dataset(folder, download=True)
            return train, dataset(folder, train=False)
        except Exception as error:  # torchvision lets through whatever networks, archives and pickles raise
            reason = ([type(error).__name__] + [line.strip("<> ") for line in str(error).splitlines() if line])[-1]
            if files := missing(dataset):
                text = f"{name} is not in {unpacked} and could not be fetched and unpacked ({reason}); put {files}"
            else:
                text = f"{name} in {unpacked} cannot be read ({reason}); remove the unpacked files and load it again"
            raise DataError(text) from error


@contextlib.contextmanager
def _download_lock(folder: Path, name: str, unpacked: Path) -> Iterator[None]:
    """One process at a time downloads and unpacks; where the folder cannot be written to, none can.

    Folders that were made for a download that failed, and hold no file of it, are removed.
    """
    lock = folder / f".{name}.lock"
    new = [path for path in (unpacked, *unpacked.parents) if not path.exists()]
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(lock))
        try:
            yield
        except DataError:
            if folder in new:
                lock.unlink(missing_ok=True)
            for path in new:  # the deepest first; rmdir refuses those with files
                with contextlib.suppress(OSError):
                    path.rmdir()
            raise


@contextlib.contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
