"""Where things are: the checkout, real data sets that may lie beside it, the toy study; and pyproject.toml."""

import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
# A developer may have real files there; tests that want them are skipped without.
REAL_DATA = ROOT.parent / "shared" / "data"
QUADRATIC = str(ROOT / "tests" / "toy_studies" / "quadratic.py")
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT: dict[str, Any] = PYPROJECT["project"]
