"""Imports run one way: orchestrator → studies → models → samplers → torch. Measured on what is really imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

OURS = {"orchestrator", "studies", "models", "samplers"}


def imported(statement: str) -> set[str]:
    """All modules that a fresh interpreter holds after ``statement``."""
    code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT).stdout
    return set(out.split())


@pytest.mark.parametrize(
    ("statement", "never"),
    [
        (
            "import samplers.langevin, samplers.replay",
            {"models", "studies", "orchestrator", "mlflow", "optuna", "click"},
        ),
        (
            "import models.ebm.training",
            {"studies", "orchestrator", "mlflow", "optuna", "matplotlib", "click", "torchvision"},
        ),
        ("import studies.ebm", {"orchestrator", "mlflow", "optuna", "matplotlib", "click"}),
        ("import orchestrator.cli.main", {"torch", "mlflow", "optuna", "matplotlib", "rich", "pandas"}),
        ("import orchestrator.search.book", {"mlflow", "matplotlib", "click"}),
        ("import orchestrator.worker.trial", {"mlflow", "click", "optuna"}),
        ("import orchestrator.supervisor.supervisor", {"mlflow", "click"}),
    ],
)
def test_what_is_never_imported(statement: str, never: set[str]) -> None:
    tops = {module.partition(".")[0] for module in imported(statement)}
    assert not tops & never


@pytest.mark.parametrize("path", sorted((ROOT / "models").rglob("config.py")), ids=lambda path: path.parent.name)
def test_settings_are_read_without_torch(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    assert not {module.partition(".")[0] for module in imported(f"import {module}")} & {"torch", "numpy", "scipy"}


@pytest.mark.parametrize(
    ("library", "file"),
    [
        ("mlflow", {"orchestrator/tracking/mlflow_store.py"}),
        (
            "matplotlib",
            {
                f"orchestrator/figures/{name}.py"
                for name in ("canvas", "comparison", "events", "sweep", "timeline", "tradeoff")
            },
        ),
        (
            "click",
            {
                f"orchestrator/cli/{name}.py"
                for name in ("browse", "main", "manage", "options", "report", "run", "sweeps")
            },
        ),
    ],
)
def test_a_library_has_one_home(library: str, file: set[str]) -> None:
    users = set()
    for package in OURS:
        for path in (ROOT / package).rglob("*.py"):
            lines = [line.strip() for line in path.read_text().splitlines()]
            if any(line.startswith((f"import {library}", f"from {library}")) for line in lines):
                users.add(str(path.relative_to(ROOT)))
    assert users == file


def test_files_stay_small() -> None:
    """One idea, one file: past 350 lines there are two."""
    for package in OURS:
        for path in (ROOT / package).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 350, path
