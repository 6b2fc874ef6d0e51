"""Sweeps that an earlier version made, in the folder that their stores name. See tests/fixtures/README.md."""

import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from tests.support.paths import ROOT

FIXTURES = ROOT / "tests" / "fixtures"
FOLDER = Path("/tmp/sweeps-at-197e99b")  # their stores hold absolute paths


@contextmanager
def earlier_sweeps() -> Iterator[Path]:
    """The folder of the earlier sweeps, as they were; one process at a time has it."""
    with FileLock(FOLDER.with_suffix(".lock")):
        shutil.rmtree(FOLDER, ignore_errors=True)
        with tarfile.open(FIXTURES / "sweeps-at-197e99b.tar.xz") as archive:
            archive.extractall(FOLDER.parent, filter="data")
        yield FOLDER
        shutil.rmtree(FOLDER)


def as_before(now: Any, then: Any) -> Any:
    """What a command prints ``now``, without the keys that it did not have ``then``: versions may add some."""
    if isinstance(now, dict) and isinstance(then, dict):
        return {key: as_before(value, then[key]) for key, value in now.items() if key in then}
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        return [as_before(*pair) for pair in zip(now, then, strict=True)]
    return now
