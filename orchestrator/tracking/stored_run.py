"""A run as MLflow has it, for those who read it without MLflow."""

from collections.abc import Mapping
from typing import NamedTuple

KEY = "sweep.key"  # the tag that holds a record's own key


class StoredRun(NamedTuple):
    """A run as MLflow has it."""

    run: str  # its id
    key: str
    status: str
    tags: dict[str, str]
    numbers: frozenset[str]  # keys that have a value
    ended: int | None  # milliseconds since 1970
    deleted: bool
    last: Mapping[str, float] = {}  # the last value of every metric
