"""Files that settings name: found again by a sweep that goes on in another folder."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


NamedFile = Annotated[str, AfterValidator(_absolute)]
"""The type of a setting; a relative path becomes an absolute one when the setting is checked."""
