"""Folders in which something is made. What a process that was killed leaves there is known by a lock that nobody holds."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

LOCK = "workplace.lock"  # held by who works there; the system frees it when that process is gone


@contextmanager
def working(prefix: str) -> Iterator[Path]:
    """A new folder in TMPDIR, whose name begins with ``prefix``; it is gone after the block. OSError where none can be made.

    Folders of this prefix whose makers were killed are removed first.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with suppress(Timeout, OSError), FileLock(folder / LOCK, timeout=0):
            shutil.rmtree(folder)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix))
        lock = FileLock(folder / LOCK)
        try:
            lock.acquire(timeout=0)
            break
        except (Timeout, FileNotFoundError):  # another process has taken it for one that was left
            shutil.rmtree(folder, ignore_errors=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
