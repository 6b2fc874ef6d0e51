"""Worker processes that outlive their supervisor: how they are known, and how the next supervisor is rid of them.

Each worker holds a lock on its trial's folder; the system takes the lock back when the last process of the worker is gone,
however it went.
"""

import json
import os
import signal
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from orchestrator import files
from orchestrator.errors import UserError
from orchestrator.layout import WORKER, WORKER_LOCK


@contextmanager
def hold_worker_lock(folder: Path, timeout: float = 10.0) -> Iterator[None]:
    """Be the worker of a trial inside the block; raises filelock's Timeout where another one does not leave."""
    with FileLock(folder / WORKER_LOCK, timeout=timeout):
        process = psutil.Process()
        who = {"host": socket.gethostname(), "process": process.pid, "started": process.create_time()}
        files.replace(folder / WORKER, json.dumps(who).encode())
        yield


def held(folder: Path) -> bool:
    """Whether a worker of this trial is there."""
    if not (folder / WORKER_LOCK).exists():
        return False
    lock = FileLock(folder / WORKER_LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # a folder that may only be read
        return False
    lock.release()
    return False


def evict(folders: Iterable[Path], grace: float) -> list[Path]:
    """Wait for workers of these trials to leave, end those that are there after ``grace`` seconds; returns their folders.

    UserError for a worker on another machine, which is not ours to end.
    """
    there = [folder for folder in folders if held(folder)]
    end = time.monotonic() + grace
    while any(held(folder) for folder in there) and time.monotonic() < end:
        time.sleep(0.1)
    ended = [folder for folder in there if held(folder)]
    for folder in ended:
        _end(folder)
    return ended


def remove(folder: Path) -> None:
    """Forget the marks of a worker that is gone."""
    for name in (WORKER_LOCK, WORKER, f"{WORKER}.part"):
        (folder / name).unlink(missing_ok=True)


def end_descendants(process: int) -> None:
    """End what a process has started, in its group and out of it. Once the process is gone, nobody knows what that was."""
    descendants = list[psutil.Process]()
    with suppress(psutil.Error):
        descendants = psutil.Process(process).children(recursive=True)
    for descendant in descendants:
        with suppress(psutil.Error):
            descendant.kill()


def end_family(process: int) -> None:
    """End a process, all of its group, and those of its descendants that have left the group."""
    end_descendants(process)
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)  # it may not have made its group yet
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)


def _end(folder: Path) -> None:
    try:
        who = json.loads((folder / WORKER).read_text())
        process = int(who["process"])
    except (OSError, ValueError, TypeError, KeyError):
        raise UserError(
            f"a worker of {folder.name} still runs, and {folder / WORKER} does not tell which process it is; end it first"
        ) from None
    if who.get("host") != socket.gethostname():
        raise UserError(f"a worker of {folder.name} still runs on {who.get('host')}; end it there first")
    with suppress(psutil.NoSuchProcess):  # else the number is another process's by now
        if abs(psutil.Process(process).create_time() - who.get("started", 0)) > 1:
            return
    end_family(process)
    for _ in range(100):
        if not held(folder):
            return
        time.sleep(0.05)
    raise UserError(f"process {process} of {folder.name} cannot be ended; end it first")
