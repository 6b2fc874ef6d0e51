"""A study file that imports a name from where it used to be gets one sentence with its new place."""

import importlib
from pathlib import Path

import pytest

import studies
from studies import StudyError
from studies.parts import moved


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("from models._env import Env", "models._env, which is models.env now"),
        ("from models._events import Scalars", "models._events, which is models.events now"),
        ("import models._events", "models._events, which is models.events now"),
        ("from studies._study import Study", "studies._study, which is studies now"),
        ("from studies import _space", "studies._space, which is studies.parts.space now"),
        ("from models.parts.data import load", "models.parts.data, which is models.data.dataset now"),
        ("from models.parts import data", "models.parts.data, which is models.data.dataset now"),
        ("from models import conditional_ebm", "models.conditional_ebm, which is models.ebm.conditional now"),
        ("from models.ebm import Config", "models.ebm.Config, which is models.ebm.config.Config now"),
        ("from models import gan; gan.train", "models.gan.train, which is models.gan.training.train now"),
    ],
)
def test_an_import_from_an_old_place_is_refused_with_the_new_one(tmp_path: Path, line: str, sentence: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(f'"""My study."""\n\n{line}\n')
    with pytest.raises(StudyError) as refused:
        studies.load(str(file))
    assert str(refused.value) == f"{file} imports {sentence}; change that line"


@pytest.mark.parametrize(("old", "new"), moved.MOVED.items(), ids=moved.MOVED)
def test_an_old_name_is_gone_and_the_new_one_is_there(old: str, new: str) -> None:
    assert not _exists(old)
    assert _exists(new)


def _exists(name: str) -> bool:
    """Whether this module, or this name of a module, can be imported."""
    package, _, last = name.rpartition(".")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        return bool(package) and hasattr(importlib.import_module(package), last)
    return True
