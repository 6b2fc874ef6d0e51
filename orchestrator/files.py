"""Files that are written whole or not at all."""

import errno
import os
from pathlib import Path

from orchestrator.errors import UserError


class CannotWrite(Exception):
    """A file of a sweep cannot be written: the disk is full, or the folder is read-only. One sentence with the way out."""


class TooManyOpenFiles(CannotWrite):
    """This process has as many files open as it may; other processes can write."""


def cannot_write(path: Path, error: OSError) -> CannotWrite:
    """The error that says so of the file at ``path``."""
    if error.errno == errno.EMFILE:
        return TooManyOpenFiles(f"{path} cannot be written, for too many files are open; close what is opened")
    return CannotWrite(f"{path} cannot be written ({error.strerror or error}); {_remedy(path, error)}")


def _remedy(path: Path, error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"make the folder writable: chmod u+w {path if path.is_dir() else path.parent}"
    if error.errno == errno.EROFS:
        return "copy the folder to a disk that may be written to"
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return "move the file away that is in the place of a folder"
    if error.errno == errno.ENOENT:
        return "put its folder back there"
    return "make room there"


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
        raise cannot_write(path, error) from error


def shown(path: Path) -> str:
    """A path as a sentence names it: from the current folder if it lies below that, else whole."""
    path, here = path.absolute(), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def check_folder(path: Path) -> None:
    """Raise UserError where the folder is not there and cannot be made, or cannot be written to. Nothing is made."""
    there = next(place for place in (path.absolute(), *path.absolute().parents) if os.path.lexists(place))
    reason = "" if there.is_dir() else f"{there} is no folder"
    if not reason and not os.access(there, os.W_OK | os.X_OK):
        reason = f"{there} takes no files of yours"
    if reason:
        raise UserError(f"the folder {path} cannot be written to ({reason}); run in a folder that is yours")


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


def output(path: Path) -> Path:
    """A file that is to be written for the user; UserError where it cannot be."""
    place = path.absolute()
    try:
        place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:  # a name that no file can have
        raise UserError(
            f"{str(path)[:100]} … cannot be a file ({getattr(error, 'strerror', None) or error}); name another"
        ) from None
    if place.is_dir():
        raise UserError(f"{path} is a folder; name a file in it")
    if not place.parent.is_dir():
        raise UserError(f"{path}: there is no folder {place.parent}; make it first")
    if not os.access(place.parent, os.W_OK | os.X_OK):
        raise UserError(f"{path}: the folder {place.parent} cannot be written to; name a file in one that is yours")
    return path


def write_output(path: Path, content: bytes) -> None:
    """Write a file for the user; UserError where it cannot be, and what was there before stays."""
    try:
        replace(path, content)
    except CannotWrite as error:
        raise UserError(f"{error}, or name another file") from None
