"""Data sets of point clouds: clean clouds with labels and, where known, their triangles, in three splits that never mix."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.data.arrays import DataError
from models.data.clouds.arrays import CloudArrays, Triangles
from models.data.clouds.folders import off_folder, xyz_folder
from models.data.clouds.modelnet import modelnet40, modelnet40c
from models.data.clouds.shapes import shapes
from models.data.division import divide
from models.data.reading import read
from models.events import DataUsed

if TYPE_CHECKING:
    from torch import Tensor

CloudShape = tuple[int, int]  # points of a clean cloud, coordinates
KNOWN: Mapping[str, Callable[[Path], CloudArrays]] = {"shapes": shapes}
FORMS: Mapping[str, tuple[str, Callable[[Path], CloudArrays]]] = {
    "modelnet40": ("modelnet40:FOLDER", modelnet40),
    "modelnet40c": ("modelnet40c:FOLDER", modelnet40c),
    "off": ("off:FOLDER", off_folder),
    "xyz": ("xyz:FOLDER", xyz_folder),
}
SHAPES: Mapping[str, CloudShape] = {"shapes": (2048, 3)}  # known before anything is made


@dataclass(frozen=True, eq=False)
class CloudSplit:
    """Clean clouds in shuffled order: any first n are a fair sample. So are any points of a cloud."""

    arrays: NDArray[np.float32]  # (n, points, 3), each in the unit sphere
    classes: NDArray[np.int64]  # (n,)
    triangles: Triangles  # of each cloud (t, 3, 3); empty where there are none
    stored: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)  # published noisy ones, by "gaussian_3"

    def __len__(self) -> int:
        return len(self.arrays)

    @cached_property
    def clouds(self) -> Tensor:
        """float32 (n, points, 3)."""
        return _tensor(self.arrays)

    @cached_property
    def labels(self) -> Tensor:
        """int64 (n,)."""
        return _tensor(self.classes)

    def surface(self, index: int) -> Tensor | None:
        """The triangles (t, 3, 3) of a cloud; None where they are not known."""
        return _tensor(self.triangles[index]) if self.triangles else None


@dataclass(frozen=True, eq=False)
class Clouds:
    """A data set of point clouds. Networks learn from ``train``, scores are of ``validation``, ``test`` selects nothing."""

    name: str  # as the user said it
    source: str
    train: CloudSplit
    validation: CloudSplit
    test: CloudSplit
    classes: tuple[str, ...]
    digest: str  # sha256 of all clouds, labels and triangles, split by split
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> CloudShape:
        """Points of a clean cloud, and 3."""
        _, points, coordinates = self.train.arrays.shape
        return points, coordinates

    @property
    def sizes(self) -> Mapping[str, int]:
        """Number of clouds in each split."""
        return {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)}

    @property
    def used(self) -> DataUsed:
        """What a trainer says of it."""
        return DataUsed(self.name, self.source, self.digest, self.sizes)


class Reader:
    """Reads the point clouds that ``spec`` names. Of those that are known by name, the shape is known before."""

    def __init__(self, spec: str, folder: Path) -> None:
        """Raises DataError where ``spec`` names none."""
        self.spec, self.folder = spec, folder
        self.prefix, colon, _ = spec.partition(":")
        if not ((self.prefix in KNOWN and not colon) or (self.prefix in FORMS and colon)):
            raise DataError(f"no point clouds '{spec}'; there are: {', '.join(forms())}")

    @property
    def shape(self) -> CloudShape:
        """Points of a clean cloud, and 3. Raises DataError where they cannot be read."""
        if self.prefix in SHAPES:
            return SHAPES[self.prefix]
        return self._arrays.clouds.shape[1], 3

    def load(self) -> Clouds:
        """The clouds, divided. Raises DataError where there are none, or none that can be used."""
        arrays = self._arrays
        train, validation, test = _splits(arrays)
        if missing := set(range(len(arrays.classes))) - set(train.classes.tolist()):
            raise DataError(
                f"'{self.spec}': no cloud of class {arrays.classes[min(missing)]} is left for training; give at least three"
            )
        digest = _digest((train, validation, test))
        return Clouds(self.spec, arrays.source, train, validation, test, arrays.classes, digest, arrays.notes)

    @cached_property
    def _arrays(self) -> CloudArrays:
        if self.prefix in KNOWN:
            return KNOWN[self.prefix](self.folder)
        return read(self.spec, "clouds", *FORMS[self.prefix])


def load(spec: str, folder: Path) -> Clouds:
    """The point clouds that ``spec`` names. Raises DataError where there are none, or none that can be used."""
    return Reader(spec, folder).load()


def forms() -> tuple[str, ...]:
    """How point clouds are named."""
    return (*KNOWN, *(form for form, _ in FORMS.values()))


def is_path(spec: str) -> bool:
    """Whether what stands behind the colon is a path."""
    prefix, colon, _ = spec.partition(":")
    return bool(colon) and prefix in FORMS


def is_named(spec: str) -> bool:
    """Whether ``spec`` begins as point clouds do, be they there or not."""
    return spec.partition(":")[0] in KNOWN or is_path(spec)


def _splits(arrays: CloudArrays) -> list[CloudSplit]:
    """Train, validation and test, each in shuffled order."""
    parts = [part for part in (arrays.validation, arrays.test) if isinstance(part, int)]
    train, *held = [_chosen(arrays, indices) for indices in divide(arrays.labels, parts)]
    others = []
    for part in (arrays.validation, arrays.test):
        if isinstance(part, int):
            others.append(held.pop(0))
        else:
            whole = arrays._replace(clouds=part[0], labels=part[1], triangles=part[2], stored={})
            others.append(_chosen(whole, *divide(part[1], [])))
    return [train, *others]


def _chosen(arrays: CloudArrays, indices: NDArray[np.int64]) -> CloudSplit:
    triangles = tuple(arrays.triangles[index] for index in indices) if arrays.triangles else ()
    stored = {name: np.asarray(clouds[np.sort(indices)]) for name, clouds in arrays.stored.items()}
    order = np.argsort(np.argsort(indices))
    stored = {name: clouds[order] for name, clouds in stored.items()}
    return CloudSplit(arrays.clouds[indices], arrays.labels[indices], triangles, stored)


def _digest(splits: Sequence[CloudSplit]) -> str:
    digest = hashlib.sha256()
    for split in splits:
        every: list[NDArray[Any]] = [split.arrays, split.classes, *split.triangles, *split.stored.values()]
        for values in every:
            digest.update(f"{values.shape}".encode())
            digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _tensor(values: NDArray[Any]) -> Tensor:
    import torch

    return torch.from_numpy(values)
