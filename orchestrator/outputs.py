"""What is printed may find no taker: an encoding without its letters, a full disk, a reader that is gone. A sweep goes on.

Python's own streams raise in each of these cases, in the middle of whatever printed.
"""

import errno
import io
import os
import sys

DRIVING = ("run", "compare", "resume")  # commands whose exit status tells of a sweep
READING = ("list", "show", "studies")  # commands that have no more to do when nobody reads


class Output(io.RawIOBase):
    """Writes to an open file, and to nothing once that takes no more."""

    def __init__(self, number: int, needs_reader: bool) -> None:
        """``number`` is 1 for what is printed, 2 for errors."""
        self.number, self.needs_reader = number, needs_reader
        self.lost = ""  # why it takes no more, unless its reader has read enough
        self.is_terminal = os.isatty(number)

    def fileno(self) -> int:
        """Of the open file."""
        return self.number

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self.is_terminal

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, content: "bytes | memoryview[int]") -> int:  # type: ignore[override]
        """Returns how many bytes were taken. Raises OSError for a terminal that is closed, which ends a sweep in order."""
        try:
            return os.write(self.number, content)
        except OSError as error:
            if error.errno == errno.EIO and self.is_terminal or error.errno == errno.EPIPE and self.needs_reader:
                raise
            if error.errno != errno.EPIPE:
                self.lost = error.strerror or str(error)
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self.number)
            os.close(nothing)
            return len(content)


def protect(command: str) -> None:
    """From now on, no print of this ``command`` raises; letters that cannot be shown are question marks."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # it was closed, and the next file that is opened would get its number, and what is printed
            os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = _stream(1, command in READING), _stream(2, False)


def _stream(number: int, needs_reader: bool) -> io.TextIOWrapper:
    stream = sys.stdout if number == 1 else sys.stderr
    encoding = getattr(stream, "encoding", None) or "utf-8"
    is_direct = os.isatty(number) or number == 2 or bool(os.environ.get("PYTHONUNBUFFERED"))
    output: io.RawIOBase = Output(number, needs_reader)
    return io.TextIOWrapper(
        io.BufferedWriter(output), encoding, errors="replace", line_buffering=is_direct, write_through=is_direct
    )


def lost() -> str:
    """Why standard output took no more; '' where it took everything, or where its reader had read enough."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        return ""
    return raw.lost if isinstance(raw, Output) else ""


def status(code: int, command: str) -> int:
    """The exit status of a command that ended with ``code``, where what it printed may be lost, which is said."""
    if not (why := lost()):
        return code
    print(f"Error: standard output cannot be written ({why}); send it to another place", file=sys.stderr)
    return code if command in DRIVING else code or 1
