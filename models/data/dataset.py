"""Data sets: real images with labels, in three splits that never mix and are the same for everyone."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.data.arrays import Arrays, DataError
from models.data.files import FORMS
from models.data.known import KNOWN, at_hand
from models.events import DataUsed
from models.hints import did_you_mean

__all__ = ["Data", "DataError", "Split", "at_hand", "floats", "load", "names"]


def floats(images: Tensor) -> Tensor:
    """Bytes as float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their labels in shuffled order: any first n are a fair sample."""

    images: Tensor  # uint8 (n, channels, height, width)
    labels: Tensor  # int64 (n,)

    def __len__(self) -> int:
        return len(self.images)

    def floats(self, indices: Tensor | None = None) -> Tensor:
        """All images, or those at ``indices``, as float32 in [-1, 1]."""
        return floats(self.images if indices is None else self.images[indices])


@dataclass(frozen=True, eq=False)
class Data:
    """A data set. The judge learns from ``train``, scores are against ``validation``, ``test`` selects nothing."""

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

    @property
    def used(self) -> DataUsed:
        """What a trainer says of it."""
        return DataUsed(self.name, self.source, self.digest, self.sizes)


def names() -> tuple[str, ...]:
    """Sets that are known by name; there are ``folder:PATH``, ``npz:FILE`` and ``hoda:FOLDER`` besides."""
    return tuple(KNOWN)


def load(spec: str, folder: Path) -> Data:
    """The data set that ``spec`` names; downloads are put into ``folder`` and looked for there.

    A set that is known by name is divided anew, test images and all, where shares in percent follow: ``mnist:85/10/5``, or
    ``mnist:80/20`` for training and test, where a tenth of the training images is for validation.

    Raises DataError where there is none, or none that can be used.
    """
    prefix, colon, rest = spec.partition(":")
    if prefix in KNOWN:
        arrays = KNOWN[prefix](folder)
        if colon:
            arrays = _redivided(arrays, spec, rest)
    elif colon and prefix in FORMS:
        form, read = FORMS[prefix]
        if not rest:
            raise DataError(f"'{spec}' says not where the images are; write {form}")
        arrays = read(Path(rest).expanduser())
    else:
        raise DataError(_unknown(spec))
    splits = _splits(arrays)
    return Data(spec, arrays.source, *splits, arrays.classes, _digest(splits))


def _unknown(spec: str) -> str:
    written = {name: name for name in KNOWN} | {prefix: form for prefix, (form, _) in FORMS.items()}
    hint = did_you_mean(spec.partition(":")[0], written, written)
    return f"no data set '{spec}'; {hint}there are: {', '.join(written.values())}"


def _redivided(arrays: Arrays, spec: str, shares: str) -> Arrays:
    """All its images, those of its test split too, to be divided by shares."""
    parts = [int(part) if part.isdecimal() else 0 for part in shares.split("/")]
    if len(parts) not in (2, 3) or min(parts) < 1 or sum(parts) != 100:
        name = spec.partition(":")[0]
        raise DataError(
            f"'{spec}' says not how to divide the images; write {name}, {name}:80/20 for training and test, "
            f"or {name}:85/10/5 with validation between them"
        )
    images, labels = arrays.images, arrays.labels
    if not isinstance(arrays.test, int):
        images, labels = np.concatenate([images, arrays.test[0]]), np.concatenate([labels, arrays.test[1]])
    test = round(len(images) * parts[-1] / 100)
    validation = round(len(images) * parts[1] / 100) if len(parts) == 3 else round((len(images) - test) / 10)
    return arrays._replace(images=images, labels=labels, validation=validation, test=test)


def _splits(arrays: Arrays) -> tuple[Split, Split, Split]:
    """Train, validation and test."""
    if isinstance(arrays.test, int):
        train, validation, test = _divide(arrays.labels, [arrays.validation, arrays.test])
        return _split(arrays, train), _split(arrays, validation), _split(arrays, test)
    train, validation = _divide(arrays.labels, [arrays.validation])
    images, labels = arrays.test
    official = arrays._replace(images=images, labels=labels)
    return _split(arrays, train), _split(arrays, validation), _split(official, _shuffled(len(labels)))


def _split(arrays: Arrays, indices: NDArray[np.int64]) -> Split:
    return Split(torch.from_numpy(arrays.images[indices]), torch.from_numpy(arrays.labels[indices]))


def _shuffled(n: int) -> NDArray[np.int64]:
    """The numbers below n in an order fixed for ever: numpy promises that this old generator's stream never changes."""
    return np.random.RandomState(0).permutation(n).astype(np.int64)


def _divide(labels: NDArray[np.int64], sizes: Sequence[int]) -> list[NDArray[np.int64]]:
    """Indices of what remains, then of a part for each of ``sizes``: disjoint, stratified, each in shuffled order.

    A part has at least one image of each class, and so may be larger than asked for where classes are small.
    """
    order = _shuffled(len(labels))
    counts = np.bincount(labels)
    quotas = [_quotas(counts, size) for size in sizes]
    part = np.zeros(len(labels), np.int64)
    for label in range(len(counts)):
        members, start = order[labels[order] == label], 0
        for number, quota in enumerate(quotas, 1):
            part[members[start : start + quota[label]]] = number
            start += quota[label]
    # Shuffled anew: in the order of the choice, what remains would begin with the classes whose quota was full first.
    parts = [np.flatnonzero(part == number) for number in range(len(sizes) + 1)]
    return [indices[_shuffled(len(indices))] for indices in parts]


def _quotas(counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """How many of each class make ``size`` in proportion, by largest remainder; at least one each."""
    exact = counts * (size / counts.sum())
    quota: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    most_owed = np.argsort(quota - exact, kind="stable")
    quota[most_owed[: size - quota.sum()]] += 1
    quota[quota == 0] = 1
    return quota


def _digest(splits: Sequence[Split]) -> str:
    digest = hashlib.sha256()
    for split in splits:
        digest.update(f"{tuple(split.images.shape)}".encode())
        digest.update(split.images.numpy().data)
        digest.update(split.labels.numpy().data)
    return digest.hexdigest()
