"""The settings of every study before anything is searched, and what each setting may be, in `tests/studies/`.

Whoever changes a recipe, a default or a limit on purpose writes them anew, and says why in CHANGELOG.md:

    python -m tests.support.recipes
"""

import json
from typing import Any

import studies
from tests.support.paths import ROOT
from tests.support.shapes import shapes

FILE = ROOT / "tests" / "studies" / "recipes.json"
LIMITS = ROOT / "tests" / "studies" / "limits.json"
BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def recipes(name: str) -> dict[str, Any]:
    """The defaults of a study, and what its recipe for each size of images or clouds changes of them."""
    study = studies.load(name)
    defaults = study.config().model_dump(mode="json")
    changes = {
        size: {key: value for key, value in study.base(shape).model_dump(mode="json").items() if value != defaults[key]}
        for size, shape in shapes(study).items()
    }
    return {"defaults": defaults, **changes}


def limits() -> dict[str, dict[str, str]]:
    """Which numbers the settings of each config may be, such as "≥ 1, ≤ 1000": by config and setting, where there is a limit."""
    configs = {study.config for study in map(studies.load, studies.names())}
    named = {f"{config.__module__}.{config.__name__}": config.model_fields for config in configs}
    return {
        name: {
            setting: ", ".join(
                f"{sign} {getattr(limit, bound)}"
                for limit in field.metadata
                for bound, sign in BOUNDS.items()
                if hasattr(limit, bound)
            )
            for setting, field in fields.items()
            if any(hasattr(limit, bound) for limit in field.metadata for bound in BOUNDS)
        }
        for name, fields in sorted(named.items())
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps({name: recipes(name) for name in studies.names()}, indent=2) + "\n")
    LIMITS.write_text(json.dumps(limits(), indent=2, ensure_ascii=False) + "\n")
