"""A node's own folder: what slots, data and trained networks need there. Nobody else may write into it."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

import psutil

SLOT = "slot-"


def root() -> Path:
    """The folder of this user on this node, in the folder for temporary files. RuntimeError where it is another's."""
    folder = Path(tempfile.gettempdir()) / f"generative-sweeps-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise RuntimeError(
            f"{folder} is not a folder that you alone may write to; remove it, or set TMPDIR on that node"
        )
    return folder


def slot() -> Path:
    """A new folder for this process. What processes left that are gone is removed."""
    for left in root().glob(f"{SLOT}*"):
        if not _lives(left.name):
            shutil.rmtree(left, ignore_errors=True)
    process = psutil.Process()
    folder = root() / f"{SLOT}{process.pid}-{int(process.create_time())}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _lives(name: str) -> bool:
    number, _, began = name.removeprefix(SLOT).partition("-")
    try:
        return int(psutil.Process(int(number)).create_time()) == int(began)
    except (psutil.Error, ValueError):
        return False
