"""Data sets: real images with labels, in three splits that never mix and are the same for everyone."""

import difflib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.parts import _sources
from models.parts._sources import Arrays, DataError

__all__ = ["Data", "DataError", "Split", "floats", "load", "names"]

UNSPLIT_SHARES = {"digits": (0.2, 0.2), "folder:": (0.15, 0.15)}  # of validation and test, where a set comes unsplit
VALIDATION_SHARE, VALIDATION_MOST = 1 / 6, 5_000  # of the official training set: MNIST's share, up to MNIST's number
KNOWN_VALIDATION = 5_000  # images of the official training set of a downloaded set


def floats(images: Tensor) -> Tensor:
    """Bytes as float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their labels, in an order fixed by chance: any first n are a fair sample."""

    images: Tensor  # uint8 (n, channels, height, width)
    labels: Tensor  # int64 (n,)

    def __len__(self) -> int:
        return len(self.images)

    def floats(self, indices: Tensor | None = None) -> Tensor:
        """All images, or those at ``indices``, as float32 in [-1, 1]."""
        return floats(self.images if indices is None else self.images[indices])


@dataclass(frozen=True, eq=False)
class Data:
    """A data set. The judge learns from ``train``, scores are against ``validation``; ``test`` never selects anything."""

    name: str  # as the user said it
    source: str
    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    digest: str  # sha256 of all images and labels, split by split

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    @property
    def sizes(self) -> Mapping[str, int]:
        """Number of images in each split."""
        return {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)}


def names() -> tuple[str, ...]:
    """Sets that are known by name; ``folder:PATH`` and ``npz:FILE`` besides."""
    return tuple(_sources.KNOWN)


def load(spec: str, folder: Path) -> Data:
    """The data set that ``spec`` names; downloads are put into ``folder`` and looked for there.

    Raises DataError where there is none, or none that can be used.
    """
    prefix, colon, rest = spec.partition(":")
    if spec in _sources.KNOWN:
        arrays = _sources.KNOWN[spec](folder)
    elif prefix + colon in _sources.FORMS:
        if not rest:
            raise DataError(f"'{spec}' names no data; write {prefix}:{_sources.FORMS[prefix + colon]}")
        arrays = (_sources.image_folder if prefix == "folder" else _sources.npz_file)(Path(rest).expanduser())
    else:
        raise DataError(_unknown(spec))
    train, validation, test = _splits(spec, arrays)
    digest = _digest((train, validation, test))
    return Data(spec, arrays.source, train, validation, test, arrays.classes, digest)


def _unknown(spec: str) -> str:
    forms = {prefix: prefix + rest for prefix, rest in _sources.FORMS.items()}
    near = difflib.get_close_matches(spec.partition(":")[0], [*names(), *(prefix[:-1] for prefix in forms)], 1)
    hint = f"; did you mean {forms.get(near[0] + ':', near[0])}?" if near else ";"
    return f"no data set '{spec}'{hint} there are: {', '.join([*names(), *forms.values()])}"


def _splits(spec: str, arrays: Arrays) -> tuple[Split, Split, Split]:
    """Train, validation and test; what is taken from one set is stratified, with at least one image of each class."""
    n = len(arrays.labels)
    if arrays.test is None:
        shares = UNSPLIT_SHARES.get(spec) or UNSPLIT_SHARES["folder:"]
        train, validation, test = _divide(arrays.labels, [round(share * n) for share in shares])
        return _split(arrays, train), _split(arrays, validation), _split(arrays, test)
    n_validation = KNOWN_VALIDATION if spec in _sources.KNOWN else min(round(VALIDATION_SHARE * n), VALIDATION_MOST)
    train, validation = _divide(arrays.labels, [n_validation])
    official = arrays._replace(images=arrays.test[0], labels=arrays.test[1])
    return _split(arrays, train), _split(arrays, validation), _split(official, _shuffled(len(official.labels)))


def _split(arrays: Arrays, indices: NDArray[np.int64]) -> Split:
    return Split(torch.from_numpy(arrays.images[indices]), torch.from_numpy(arrays.labels[indices]))


def _shuffled(n: int) -> NDArray[np.int64]:
    """The numbers below n in an order fixed for ever: numpy promises that this old generator's stream never changes."""
    return np.random.RandomState(0).permutation(n).astype(np.int64)


def _divide(labels: NDArray[np.int64], sizes: list[int]) -> list[NDArray[np.int64]]:
    """Indices of what remains, then of one part for each of ``sizes``: disjoint, stratified, each in shuffled order.

    Every class needs at least one image for each part and one that remains; small classes make a part larger.
    """
    order = _shuffled(len(labels))
    counts = np.bincount(labels)
    part = np.zeros(len(labels), np.int64)
    taken = np.zeros_like(counts)
    for number, size in enumerate(sizes, 1):
        quota = _quotas(counts, size)
        for label in range(len(counts)):
            members = order[labels[order] == label]
            part[members[taken[label] : taken[label] + quota[label]]] = number
        taken += quota
    return [order[part[order] == number] for number in range(len(sizes) + 1)]


def _quotas(counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """How many of each class make ``size`` in proportion, by largest remainder; at least one each."""
    exact = counts * (size / counts.sum())
    quota = np.floor(exact).astype(np.int64)
    most_owed = np.argsort(quota - exact, kind="stable")
    quota[most_owed[: size - quota.sum()]] += 1
    return np.maximum(quota, 1)


def _digest(splits: tuple[Split, ...]) -> str:
    digest = hashlib.sha256()
    for split in splits:
        digest.update(f"{tuple(split.images.shape)}".encode())
        digest.update(split.images.numpy())
        digest.update(split.labels.numpy())
    return digest.hexdigest()
