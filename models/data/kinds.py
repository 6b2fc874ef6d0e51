"""The kinds of data that studies read, images and point clouds: which kind a name is of, and its reader."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from models.data import dataset as images
from models.data.arrays import DataError
from models.data.clouds import dataset as clouds
from models.data.halved import PREFIX as HALVED
from models.hints import did_you_mean


class DataSet(Protocol):
    """What is known of data of any kind."""

    @property
    def digest(self) -> str: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    @property
    def classes(self) -> tuple[str, ...]: ...


class Reader(Protocol):
    """Reads the data that a name stands for."""

    @property
    def shape(self) -> Any:
        """Of one example, without reading them all where that can be: (channels, height, width), or (points, 3)."""

    def load(self) -> Any:
        """A DataSet, in three splits. Raises DataError."""


@dataclass(frozen=True)
class Kind:
    """A kind of data."""

    noun: str
    open: Callable[[str, Path], Reader]
    is_named: Callable[[str], bool]  # whether a name begins as data of this kind do, be they there or not
    is_path: Callable[[str], bool]  # whether a path stands behind its colon
    forms: Callable[[], tuple[str, ...]]  # how its data are named


KINDS: Mapping[str, Kind] = {
    "images": Kind("images", images.Reader, images.is_named, images.is_path, images.forms),
    "clouds": Kind("point clouds", clouds.Reader, clouds.is_named, clouds.is_path, clouds.forms),
}


def reader(spec: str, folder: Path, kind: str) -> Reader:
    """Of data that ``spec`` names. Raises DataError where it names none, or data of another kind than ``kind``."""
    wanted = KINDS[kind]
    _refuse_halved_clouds(spec)
    if not wanted.is_named(spec):
        for other in KINDS.values():
            if other is not wanted and other.is_named(spec):
                raise DataError(
                    f"'{spec}' holds {other.noun}, and this study reads {wanted.noun}: {', '.join(wanted.forms())}"
                )
    return wanted.open(spec, folder)


def load(spec: str, folder: Path, kind: str) -> Any:
    """The data that ``spec`` names. Raises DataError as ``reader``, and where they cannot be used."""
    return reader(spec, folder, kind).load()


def check_name(spec: str) -> None:
    """Raises DataError where ``spec`` names no data of any kind; nothing is read."""
    _refuse_halved_clouds(spec)
    for kind in KINDS.values():
        if kind.is_named(spec):
            kind.open(spec, Path())
            return
    written = {form.partition(":")[0]: form for kind in KINDS.values() for form in kind.forms()}
    hint = did_you_mean(spec.partition(":")[0], written, written)
    there = "; ".join(f"{kind.noun}: {', '.join(kind.forms())}" for kind in KINDS.values())
    raise DataError(f"no data set '{spec}'; {hint}there are {there}")


def _refuse_halved_clouds(spec: str) -> None:
    prefix, _, rest = spec.partition(":")
    if prefix == HALVED and rest and clouds.is_named(rest):
        raise DataError(f"'{spec}' would halve point clouds, which have no height and width; write {rest}")


def is_path(spec: str) -> bool:
    """Whether ``spec`` names files of the user's own: what stands behind the colon is a path."""
    return any(kind.is_path(spec) for kind in KINDS.values())


def is_named(spec: str) -> bool:
    """Whether ``spec`` begins as a data set of any kind does, be it there or not."""
    return any(kind.is_named(spec) for kind in KINDS.values())
