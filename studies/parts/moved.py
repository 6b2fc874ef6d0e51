"""Names that have moved: a study file that still imports one from its old place gets one sentence with the new place."""

import re
from collections.abc import Mapping
from types import ModuleType

FAMILIES = ("ebm", "jem", "gan", "dvae")
_OF_A_FAMILY = {
    "Config": "config.Config",
    "train": "training.train",
    "network": "networks.network",
    "report": "evaluation.report",
    "draw": "evaluation.draw",
}
MOVED: Mapping[str, str] = {  # the old name -> the new one
    "models._env": "models.env",
    "models._events": "models.events",
    "models.conditional_ebm": "models.ebm.conditional",
    "models.ebm_sampling": "models.ebm.frozen_sampling",
    "models.parts.data": "models.data.dataset",
    "models.parts.judge": "models.parts.evaluation.judge",
    "models.parts.metrics": "models.parts.evaluation.metrics",
    "models.parts.quality": "models.parts.evaluation.quality",
    "models.parts.nets": "models.parts.networks.blocks",
    "models.parts.cache": "models.parts.training.cache",
    "models.parts.augmentation": "models.parts.training.augmentation",
    "models.parts.named_files": "models.parts.settings",
    "studies._study": "studies",
    "studies._space": "studies.parts.space",
    "studies._sections": "studies.parts.sections",
} | {
    f"models.{family}.{name}": f"models.{family}.{place}" for family in FAMILIES for name, place in _OF_A_FAMILY.items()
}


def sentence(file: str, error: ImportError | AttributeError) -> str:
    """What is wrong with the study ``file`` that raised ``error``; '' where the error is not about a name that has moved."""
    old = _wanted(error)
    return f"{file} imports {old}, which is {MOVED[old]} now; change that line" if old in MOVED else ""


def _wanted(error: ImportError | AttributeError) -> str:
    """The full name that could not be had; '' where it is not known."""
    if isinstance(error, AttributeError):
        return f"{error.obj.__name__}.{error.name}" if isinstance(error.obj, ModuleType) else ""
    # Python before 3.12 has the name itself in the message only.
    absent = re.match(r"cannot import name '(\w+)' from '([\w.]+)'", str(error))
    return f"{absent[2]}.{absent[1]}" if absent else error.name or ""
