"""How a trial ended, in its folder from the moment it is known until the book has been told.

A supervisor may die between the two; the next one finds the ending and neither plays the trial again nor tells it twice.
"""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from orchestrator import files
from orchestrator.layout import ENDED
from orchestrator.messages import Ended

_ENDED = TypeAdapter(Ended)


def save(folder: Path, end: Ended) -> None:
    """Keep how the folder's trial ended; raises CannotWrite."""
    files.replace(folder / ENDED, _ENDED.dump_json(end, by_alias=True))


def load(folder: Path) -> Ended | None:
    """How the folder's trial ended; None where it has not, or where the file is not whole."""
    try:
        return _ENDED.validate_json((folder / ENDED).read_bytes())
    except (OSError, ValidationError):
        return None


def remove(folder: Path) -> None:
    """Forget it: the book knows."""
    for name in (ENDED, f"{ENDED}.part"):
        (folder / name).unlink(missing_ok=True)
