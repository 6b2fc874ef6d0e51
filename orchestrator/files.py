"""Files that are written whole or not at all."""

import os
from pathlib import Path

from orchestrator.errors import UserError


class CannotWrite(Exception):
    """A file of a sweep cannot be written: the disk is full, or the folder is read-only. One sentence."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path} cannot be written ({error.strerror or error})")


def replace(path: Path, content: bytes | memoryview, keep: Path | None = None) -> None:
    """Put ``content`` in the place of ``path``, so that a reader finds all of the old file or all of the new one.

    With ``keep`` the old one is kept there. Returns when the content would survive a crash of the machine; CannotWrite
    leaves everything as it was.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if keep is not None and path.exists():
            os.replace(path, keep)
        os.replace(part, path)
    except OSError as error:
        try:
            part.unlink(missing_ok=True)
        except OSError:
            pass  # a read-only folder keeps it; the next writer replaces it
        raise CannotWrite(path, error) from error


def writable(folder: str) -> None:
    """Make the folder; UserError where it cannot be made or written to."""
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"the folder {path} cannot be written to ({error.strerror}); run in a folder that is yours"
        ) from None
