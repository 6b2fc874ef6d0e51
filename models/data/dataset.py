"""Data sets: real images with labels, in three splits that never mix and are the same for everyone.

They are read by numpy; torch is imported where a split first hands out a tensor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.data.arrays import ONE_CLASS, Arrays, DataError, Part
from models.data.division import splits
from models.data.files import FORMS
from models.data.halved import PREFIX as HALVED
from models.data.halved import halved, halved_shape
from models.data.known import KNOWN, available_offline
from models.data.reading import read
from models.data.values import alike, dark
from models.events import DataUsed
from models.hints import did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Data",
    "DataError",
    "Reader",
    "Split",
    "available_offline",
    "floats",
    "forms",
    "is_named",
    "is_path",
    "kind",
    "load",
    "names",
]
ImageShape = tuple[int, int, int]  # channels, height, width


def floats(images: Tensor) -> Tensor:
    """Bytes as float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


class Split:
    """Images and their labels in shuffled order: any first n are a fair sample."""

    def __init__(self, images: Tensor | NDArray[np.uint8], labels: Tensor | NDArray[np.int64]) -> None:
        """``images`` are uint8 (n, channels, height, width), ``labels`` int64 (n,); tensors of arrays share their memory."""
        self._images, self._labels = images, labels

    def __len__(self) -> int:
        return len(self._images)

    @cached_property
    def images(self) -> Tensor:
        """uint8 (n, channels, height, width)."""
        return _tensor(self._images)

    @cached_property
    def labels(self) -> Tensor:
        """int64 (n,)."""
        return _tensor(self._labels)

    @property
    def shape(self) -> ImageShape:
        """(channels, height, width)."""
        channels, height, width = self._images.shape[1:]
        return channels, height, width

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
    notes: tuple[str, ...] = ()  # what was converted or left out when it was read

    @property
    def shape(self) -> ImageShape:
        """(channels, height, width)."""
        return self.train.shape

    @property
    def has_classes(self) -> bool:
        """Whether its labels tell images apart: not where there is one class, or no label at all."""
        return len(self.classes) > 1

    @property
    def sizes(self) -> Mapping[str, int]:
        """Number of images in each split."""
        return {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)}

    @property
    def used(self) -> DataUsed:
        """What a trainer says of it."""
        return DataUsed(self.name, self.source, self.digest, self.sizes)


def names() -> tuple[str, ...]:
    """Sets that are known by name; there are ``folder:PATH``, ``npz:FILE``, ``hoda:FOLDER`` and ``halved:NAME`` besides."""
    return tuple(KNOWN)


class Reader:
    """Reads the data set that ``spec`` names. Of a set that is known by name, the shape is known before it is read.

    Such a set is divided anew, test images and all, where shares in percent follow: ``mnist:85/10/5``, or ``mnist:80/20``
    for training and test, where a tenth of the training images is for validation. ``halved:SPEC`` is any data set at half
    its height and width.
    """

    def __init__(self, spec: str, folder: Path) -> None:
        """Downloads are put into ``folder`` and looked for there. Raises DataError where ``spec`` names no data set."""
        self.spec, self.folder = spec, folder
        self.prefix, colon, self.rest = spec.partition(":")
        self.shares = _shares(spec, self.rest) if colon and self.prefix in KNOWN else None
        if colon and self.prefix == HALVED and not self.rest:
            raise DataError(f"'{spec}' says not which images to halve; write {HALVED}:NAME, such as {HALVED}:mnist")
        self.whole = Reader(self.rest, folder) if colon and self.prefix == HALVED else None
        if self.whole:
            return
        if self.prefix not in KNOWN and not (colon and self.prefix in FORMS):
            raise DataError(_unknown(spec))

    @property
    def shape(self) -> ImageShape:
        """(channels, height, width). Raises DataError where there are no images, or none that can be used."""
        if self.whole:
            return halved_shape(self.spec, self.whole.shape)
        if self.prefix in KNOWN:
            return KNOWN[self.prefix].shape
        channels, height, width = self._arrays.images.shape[1:]
        return channels, height, width

    def load(self) -> Data:
        """The images, divided. Raises DataError where there are none, or none that can be used."""
        arrays = self._arrays
        parts = splits(arrays)
        counts = np.bincount(parts[0][1], minlength=len(arrays.classes))
        if counts.min() == 0:
            raise DataError(
                f"'{self.spec}': no image of class {arrays.classes[int(counts.argmin())]} is left for training; add some"
            )
        train, validation, test = (Split(*part) for part in parts)
        found = (*dark(int(arrays.images.max())), *alike(arrays.images)) if is_path(self.spec) else ()
        notes = (*arrays.notes, *found)
        notes = notes if len(arrays.classes) > 1 else (*notes, ONE_CLASS)
        return Data(self.spec, arrays.source, train, validation, test, arrays.classes, _digest(parts), notes=notes)

    @cached_property
    def _arrays(self) -> Arrays:
        if self.whole:
            halved_shape(self.spec, self.whole.shape)
            return halved(self.whole._arrays)
        if self.prefix in KNOWN:
            arrays = KNOWN[self.prefix].read(self.folder)
            return _with_shares(arrays, self.shares) if self.shares else arrays
        return read(self.spec, "images", *FORMS[self.prefix])


def load(spec: str, folder: Path) -> Data:
    """The data set that ``spec`` names; see Reader. Raises DataError where there is none, or none that can be used."""
    return Reader(spec, folder).load()


def forms() -> tuple[str, ...]:
    """How data sets are named."""
    return (*KNOWN, *(form for form, _ in FORMS.values()), f"{HALVED}:NAME")


def is_path(spec: str) -> bool:
    """Whether ``spec`` names files of the user's own: what stands behind the colon is a path."""
    prefix, colon, rest = spec.partition(":")
    return is_path(rest) if prefix == HALVED else bool(colon) and prefix in FORMS


def is_named(spec: str) -> bool:
    """Whether ``spec`` begins as a data set does, be it there or not."""
    return spec.partition(":")[0] in KNOWN or is_path(spec) or spec.startswith(f"{HALVED}:")


def kind(spec: str) -> str:
    """What a sweep on these data is named after: "mnist", "npz", "halved-mnist"."""
    prefix, _, rest = spec.partition(":")
    return f"{prefix}-{kind(rest)}" if prefix == HALVED else prefix


def _unknown(spec: str) -> str:
    written = {name: name for name in KNOWN} | {prefix: form for prefix, (form, _) in FORMS.items()}
    written[HALVED] = f"{HALVED}:NAME"
    hint = did_you_mean(spec.partition(":")[0], written, written)
    return f"no data set '{spec}'; {hint}there are: {', '.join(written.values())}"


def _shares(spec: str, text: str) -> list[int]:
    """The percentages in ``text``, of training, perhaps validation, and test."""
    shares = [int(share) if share.isdecimal() else 0 for share in text.split("/")]
    if len(shares) not in (2, 3) or min(shares) < 1 or sum(shares) != 100:
        name = spec.partition(":")[0]
        raise DataError(
            f"'{spec}' says not how to divide the images; write {name}, {name}:80/20 for training and test, "
            f"or {name}:85/10/5 with validation between them"
        )
    return shares


def _with_shares(arrays: Arrays, shares: Sequence[int]) -> Arrays:
    """All its images, those of its test split too, to be divided by shares."""
    images, labels = arrays.images, arrays.labels
    if not isinstance(arrays.test, int):
        images, labels = np.concatenate([images, arrays.test[0]]), np.concatenate([labels, arrays.test[1]])
    test = round(len(images) * shares[-1] / 100)
    validation = round(len(images) * shares[1] / 100) if len(shares) == 3 else round((len(images) - test) / 10)
    return arrays._replace(images=images, labels=labels, validation=validation, test=test)


def _tensor(values: Tensor | NDArray[Any]) -> Tensor:
    if not isinstance(values, np.ndarray):
        return values
    import torch

    return torch.from_numpy(values)


def _digest(parts: Sequence[Part]) -> str:
    digest = hashlib.sha256()
    for images, labels in parts:
        digest.update(f"{tuple(images.shape)}".encode())
        digest.update(np.ascontiguousarray(images).data)
        digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()
