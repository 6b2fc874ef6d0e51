"""What a worker prints goes to a file in its trial's folder."""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from orchestrator.layout import LOG

LOG_BYTES = 1_000_000  # that are read of the end of a log
LONGEST_BYTES = 20_000_000  # of a log; then its end is kept, so that a trainer that prints without end fills no disk
LOOK_SECONDS = 0.5
CUT = b"... what was printed before is removed, for it was very much ...\n"


def redirect(folder: Path) -> None:
    """From now on, send the output and the errors of this process to the log of the trial in ``folder``."""
    log = os.open(folder / LOG, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    threading.Thread(target=_bound, args=(log,), name="log", daemon=True).start()


def read(folder: Path) -> bytes:
    """The end of the log of the trial in ``folder``; b"" where nothing was printed."""
    file = folder / LOG
    if not file.exists():
        return b""
    with file.open("rb") as opened:
        opened.seek(max(0, file.stat().st_size - LOG_BYTES))
        return opened.read()


def _bound(log: int) -> None:
    while True:
        time.sleep(LOOK_SECONDS)
        with suppress(OSError):  # a full disk takes it later
            cut(log)


def cut(log: int) -> None:
    """Keep the end of an open log that has become too long. All who write to it append, so they go on behind that."""
    size = os.fstat(log).st_size
    if size > LONGEST_BYTES:
        end = os.pread(log, LOG_BYTES, size - LOG_BYTES)
        os.ftruncate(log, 0)
        os.write(log, CUT + (end.partition(b"\n")[2] or end))  # a progress bar may print no line at all
