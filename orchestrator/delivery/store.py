"""Where records are delivered to, such as MLflow: what a store must do, and how it says no."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from orchestrator.delivery.entries import Begin, Entry


class Refused(Exception):
    """The store will never take this. Any other error means: try again later."""

    def __init__(self, reason: str, record: bool = False) -> None:
        """``record`` says that the whole record is gone, so that nothing of it will ever be taken."""
        super().__init__(reason)
        self.record = record


class Unclear(Exception):
    """An answer that may be the store's last word or a fault that passes, such as a proxy's 400."""


class Found(NamedTuple):
    """A record that is open."""

    run: str  # its id
    steps: Mapping[str, int] = {}  # the last step that it has of every key, those of `of_picture` among them


class Store(Protocol):
    """Takes records. To deliver the same entries twice must be the same as once.

    Both methods raise Refused for what the store will never take, Unclear for what it may take, and any other error while it
    is out of reach.
    """

    def begin(self, entry: Begin) -> Found:
        """Open the record ``entry.run``, else the one with the entry's key, else a new one.

        The parameters of the entry may wait: the entry is delivered again as the first one of the record.
        """

    def deliver(self, run: str, entries: Sequence[Entry]) -> None:
        """Add entries to a record, in their order; a Begin among them has been begun already."""
