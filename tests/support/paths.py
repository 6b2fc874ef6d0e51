"""Where things are: the checkout, real data sets that may lie beside it, the toy study."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REAL_DATA = (
    ROOT.parent / "shared" / "data"
)  # where a developer has real files; tests that want them are skipped without
QUADRATIC = str(ROOT / "tests" / "toy_studies" / "quadratic.py")
