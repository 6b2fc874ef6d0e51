"""What a worker prints goes to a file in its trial's folder."""

import os
from pathlib import Path

from orchestrator.layout import LOG

LOG_BYTES = 1_000_000  # that are read of the end of a log


def redirect(folder: Path) -> None:
    """From now on, send the output and the errors of this process to the log of the trial in ``folder``."""
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)


def read(folder: Path) -> bytes:
    """The end of the log of the trial in ``folder``; b"" where nothing was printed."""
    file = folder / LOG
    return file.read_bytes()[-LOG_BYTES:] if file.exists() else b""
