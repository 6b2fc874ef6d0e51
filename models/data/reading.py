"""Data of the user's own are read: every fault of a path or a file becomes one sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from models.data.arrays import DataError

LONGEST = 300  # letters of a message
Read = TypeVar("Read")


def read(spec: str, noun: str, form: str, reader: Callable[[Path], Read]) -> Read:
    """What ``reader`` finds at the path behind the colon of ``spec``; ``form`` is how such data are named.

    Raises DataError where no path is there, or what lies there cannot be read.
    """
    _, _, path = spec.partition(":")
    if not path:
        raise DataError(f"'{spec}' says not where the {noun} are; write {form}")
    try:
        return reader(Path(path).expanduser())
    except DataError as error:
        raise DataError(_shortened(str(error))) from error
    except (OSError, RuntimeError, ValueError) as error:  # so for a path that the system does not take
        reason = getattr(error, "strerror", None) or error
        raise DataError(_shortened(f"'{spec}' cannot be read ({reason}); give another path")) from error


def _shortened(message: str) -> str:
    """Without its middle, where names of the user's make it too long."""
    half = LONGEST // 2 - 2
    return message if len(message) <= LONGEST else f"{message[:half]} … {message[-half:]}"
