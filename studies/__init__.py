"""The catalogue of questions: a file each. Listing them imports none of them.

A study file of your own takes what it needs from here: ``from studies import ImageShape, Objective, Section, Study, Suggest``.
"""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from models.hints import did_you_mean
from studies.parts import own_file
from studies.parts.later import later
from studies.parts.study import ImageShape, Objective, Section, Study, StudyError, Suggest

__all__ = ["ImageShape", "Objective", "Section", "Study", "StudyError", "Suggest", "later", "load", "names"]


def names() -> tuple[str, ...]:
    """Studies of this package, by file name."""
    return tuple(sorted(file.stem for file in Path(__file__).parent.glob("*.py") if not file.stem.startswith("_")))


def load(name: str) -> Study[Any, Any]:
    """The study called ``name``, or the one in a file of your own, ``path/to/study.py``. Raises StudyError."""
    if name.endswith(".py"):
        module = _module(name)
    elif name in names():
        module = importlib.import_module(f"studies.{name}")
    else:
        hint = did_you_mean(name, names())
        raise StudyError(f"no study '{name}'; {hint}there are: {', '.join(names())}, or a path/to/study.py of your own")
    study = getattr(module, "STUDY", None)
    if not isinstance(study, Study):
        raise StudyError(f"'{name}' defines no STUDY = Study(...); studies/ebm.py shows the shape")
    return own_file.guarded(name, study) if name.endswith(".py") else study


def _module(name: str) -> ModuleType:
    """The user's file, executed."""
    if Path(name).is_dir():
        raise StudyError(f"'{name}' is a folder; name a Python file in it")
    if not Path(name).is_file():
        raise StudyError(
            f"there is no file '{name}'; name a study ({', '.join(names())}) or a Python file that is there"
        )
    return own_file.execute(name)
