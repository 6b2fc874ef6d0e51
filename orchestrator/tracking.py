"""What the supervisor and the trials expect of a tracker: the picture of a sweep, from which nothing is read back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from numpy.typing import NDArray
from torch import nn

from models._events import Event

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]


class Run(Protocol):
    """The record of a trial or of a sweep."""

    id: str

    def write(self, event: Event) -> None:
        """Record what a trainer said; scalars may wait for a flush."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Record numbers; they may wait for a flush."""

    def picture(self, name: str, picture: NDArray[Any]) -> None:
        """Keep a picture, (height, width, 3) of 8 bits, as a file called ``name``."""

    def file(self, path: Path, folder: str) -> None:
        """Keep a copy of a file in a folder of the record."""

    def text(self, name: str, text: str) -> None:
        """Keep a text as a file called ``name``."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""

    def describe(self, markdown: str) -> None:
        """Set the description that the record's page shows."""

    def flush(self) -> None:
        """Return when everything written has arrived."""

    def end(self, status: Status, tags: Mapping[str, str]) -> None:
        """Flush, tag and close the record; an ended one may be resumed."""

    def champion(self, network: nn.Module, shape: tuple[int, ...], name: str, tags: Mapping[str, str]) -> str:
        """Keep a trained network as the model ``name``, alias champion; returns the address to load it by."""


class Tracker(Protocol):
    """A place for records."""

    def start(self, name: str, params: Mapping[str, Any], tags: Mapping[str, str], parent: str | None) -> Run:
        """A new record, beside or (with a parent's id) below the others."""

    def resume(self, id: str) -> Run:
        """The record with this id."""

    def reopen(self, id: str) -> Run:
        """The record with this id, shown as running again."""
