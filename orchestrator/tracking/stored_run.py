"""A run as MLflow has it, and who can look runs up, for those who read without MLflow."""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple, Protocol

KEY = "sweep.key"  # the tag that holds a record's own key
CHAMPION = "champion"  # the alias of a registered model's version
PICTURES = "images"  # the folder of a run that MLflow's pages look for pictures in


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


class RunReader(Protocol):
    """Looks up what MLflow holds of the sweeps of an experiment; changes nothing."""

    experiment: str  # its id

    def find_experiment(self, name: str) -> bool:
        """Look at the experiment ``name`` from now on, deleted or not; False where there is none."""

    def follow(self, run: str) -> None:
        """Look at the experiment of this run from now on."""

    def records(self, id: str, deleted: bool = False) -> list[StoredRun]:
        """All runs of the sweep with this id, its own among them, the oldest first; with the ``deleted`` ones if wanted."""

    def named(self, sweep: str) -> list[StoredRun]:
        """Runs that are tagged with the name of a sweep, whichever sweep it was."""

    def record(self, run: str) -> StoredRun | None:
        """The run with this id, deleted or not; None where there is none."""

    def artifacts(self, run: str) -> set[str]:
        """Names of the files and folders at the top of a run."""

    def pictures(self, run: str) -> list[tuple[str, int, str]]:
        """The pictures of a run: key, step and path, in that order."""

    def content(self, run: str, path: str) -> bytes:
        """A file of a run."""

    def last(self, run: str) -> dict[str, float]:
        """The last value of every metric of a run."""

    def history(self, run: str, key: str) -> list[tuple[int, float]]:
        """Steps and values of a metric, in the order of steps."""

    def has_champion(self, name: str) -> bool:
        """Whether the registered model ``name`` has a champion; True also where the tracker does not say."""


def pictures(paths: Iterable[str]) -> list[tuple[str, int, str]]:
    """Key, step and path of the pictures among the files of a run's folder PICTURES, in that order."""
    named = []
    for path in paths:
        key, separator, rest = PurePosixPath(path).stem.partition("+step+")
        if separator and path.endswith(".png"):
            named.append((key.replace("~", "/"), int(rest.partition("+")[0]), path))
    return sorted(named)


def recorded(run: Any) -> StoredRun:
    """Of MLflow's own Run."""
    info, data = run.info, run.data
    return StoredRun(
        run=info.run_id,
        key=data.tags.get(KEY, ""),
        status=info.status,
        tags=dict(data.tags),
        numbers=frozenset(data.metrics),
        ended=info.end_time,
        deleted=info.lifecycle_stage != "active",
        last=dict(data.metrics),
    )
