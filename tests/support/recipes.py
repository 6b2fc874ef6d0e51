"""The settings of every study before anything is searched, in `tests/studies/recipes.json`.

Whoever changes a recipe or a default on purpose writes them anew, and says why in CHANGELOG.md:

    python -m tests.support.recipes
"""

import json
from typing import Any

import studies
from tests.support.paths import ROOT
from tests.support.shapes import shapes

FILE = ROOT / "tests" / "studies" / "recipes.json"


def recipes(name: str) -> dict[str, Any]:
    """The defaults of a study, and what its recipe for each size of images or clouds changes of them."""
    study = studies.load(name)
    defaults = study.config().model_dump(mode="json")
    changes = {
        size: {key: value for key, value in study.base(shape).model_dump(mode="json").items() if value != defaults[key]}
        for size, shape in shapes(study).items()
    }
    return {"defaults": defaults, **changes}


if __name__ == "__main__":
    FILE.write_text(json.dumps({name: recipes(name) for name in studies.names()}, indent=2) + "\n")
