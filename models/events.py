"""What a trainer may say: plain values that know no tracker, no tuner and no plotting library."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # commands that train nothing do not wait for torch
    from torch import Tensor
    from torch.nn import Module


@dataclass(frozen=True)
class Scalars:
    """Numbers at a step of training, by name; a slash in a name makes a group: ``fid/fresh``.

    The steps of a name only increase, as do those of a picture's key: so what a resumed trial says again is known.
    """

    step: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Images:
    """A grid of images. The same ``key`` at several steps is one picture that plays over training."""

    step: int
    key: str
    images: Tensor  # (n, channels, height, width) in [-1, 1]
    columns: int = 8


@dataclass(frozen=True)
class Curve:
    """Lines over a common axis, each with as many values as ``x``; a value may be NaN, which leaves a gap."""

    step: int
    key: str
    x: Sequence[float]
    lines: Mapping[str, Sequence[float]]
    x_label: str
    y_label: str
    log_y: bool = False


@dataclass(frozen=True)
class Matrix:
    """Counts or shares, one row a true class and one column what it was taken for."""

    step: int
    key: str
    values: Tensor  # (rows, columns)
    rows: Sequence[str]
    columns: Sequence[str]
    row_label: str = "true"
    column_label: str = "predicted"
    stacked: bool = False  # drawn as a bar for each row, of a part for each column


@dataclass(frozen=True)
class Points:
    """Points of a plane, drawn once for each of ``groups``, which says of each point what it belongs to."""

    step: int
    key: str
    places: Tensor  # (n, 2)
    groups: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class DataUsed:
    """The data set that a trainer reads, said once at the start."""

    name: str
    source: str  # where it comes from, in words or as an address
    digest: str  # of all its images and labels
    sizes: Mapping[str, int]  # images in each split


@dataclass(frozen=True)
class Facts:
    """What is learned once and is no setting: the judge's hash, the number of parameters."""

    values: Mapping[str, str | int | float]


@dataclass(frozen=True)
class Progress:
    """How far a stage is: training, evaluation. Said often; ``total`` is in the same unit as ``done``."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class Checkpoint:
    """An offer of everything needed to go on from ``step``, made between any two updates.

    ``state()`` builds nested dicts and lists of tensors, numbers and strings. It draws no randomness and is called
    before the trainer goes on, or not at all: whoever consumes the events decides how often one is worth its cost.
    """

    step: int
    state: Callable[[], Mapping[str, Any]] = field(repr=False)


@dataclass(frozen=True)
class Weights:
    """The weights of the finished network, for use after training."""

    state: Mapping[str, Tensor]

    @staticmethod
    def of(network: Module) -> Weights:
        """A copy on the processor."""
        return Weights({name: tensor.detach().cpu() for name, tensor in network.state_dict().items()})


@dataclass(frozen=True)
class File:
    """A file that is kept with the trial, as it is; a later one of the same name replaces it."""

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Compute:
    """Rows to be computed; what ``function`` makes of them is sent back into the trainer.

    Trials that are played together and name the same function are answered by one call on all their rows, up to ``most``
    at a time: a row's result must not depend on the others.
    """

    function: Callable[[Tensor], tuple[Tensor, ...]] = field(repr=False)
    rows: Tensor  # (n, *shape)
    most: int = 512


PictureEvent = Images | Curve | Matrix | Points  # what can be drawn
Event = Scalars | PictureEvent | DataUsed | Facts | Progress | Checkpoint | Weights | File | Compute


class Diverged(Exception):
    """Training went where it cannot come back from: an expected ending with a name, not an error.

    ``reason`` is one of a few short names, ``step`` the update at which it was seen, ``detail`` one sentence with numbers.
    """

    def __init__(self, reason: str, step: int, detail: str) -> None:
        super().__init__(f"{reason} at step {step}: {detail}")
        self.reason = reason
        self.step = step
        self.detail = detail
