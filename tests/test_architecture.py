"""Where files are and what they import: orchestrator → studies → models → samplers → torch.

Families, studies and folders are discovered, so a new one needs no line here.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import studies
from tests.support.paths import PYPROJECT, ROOT

PACKAGES = ("orchestrator", "models", "samplers", "studies")
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
FAMILIES = sorted(path.parent.name for path in (ROOT / "models").glob("*/config.py"))
CATALOGUE = "studies"  # one file a study, so this folder may be large
LARGEST_FOLDER, LONGEST_FILE, MOST_IGNORED, MOST_OPTUNA = 20, 300, 3, 7


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
        (
            "mlflow",
            {
                f"orchestrator/tracking/{name}.py"
                for name in (
                    "default_tracker",
                    "mlflow_store",
                    "mlflow_tables",
                    "model_copy",
                    "model_registry",
                    "run_copy",
                )
            },
        ),
        (
            "matplotlib",
            {
                f"orchestrator/figures/{name}.py"
                for name in ("canvas", "comparison", "events", "places", "sweep", "timeline", "tradeoff")
            },
        ),
        (
            "click",
            {
                f"orchestrator/cli/{name}.py"
                for name in ("browse", "cluster", "main", "manage", "options", "report", "run", "sweeps", "transfer")
            },
        ),
    ],
)
def test_a_library_has_one_home(library: str, file: set[str]) -> None:
    users = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if re.search(rf"^\s*(import|from) {library}\b", path.read_text(), re.M):
                users.add(str(path.relative_to(ROOT)))
    assert users == file


@pytest.fixture(scope="module")
def graph() -> Any:
    """Which module imports which, at the top of a file or in a function. Imports for type checkers only are left out."""
    grimp = pytest.importorskip("grimp", reason="import-linter brings it: pip install 'generative-sweeps[dev]'")
    return grimp.build_graph(
        *PACKAGES, include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
    )


def imports(graph: Any, package: str) -> Iterator[tuple[str, str]]:
    """Pairs of a module in ``package`` and a module that it imports."""
    for module in graph.modules:
        if module == package or module.startswith(f"{package}."):
            for imported in graph.find_modules_directly_imported_by(module):
                yield module, imported


def family(module: str) -> str:
    """The family that a module belongs to; '' where it belongs to none."""
    package, _, rest = module.partition(".")
    name = rest.partition(".")[0]
    return name if package == "models" and name in FAMILIES else ""


def test_families_are_found_and_have_the_same_files() -> None:
    assert {"ebm", "jem", "gan", "dvae"} <= set(FAMILIES)
    for name in FAMILIES:
        for file in ("__init__.py", "config.py", "networks.py", "training.py", "evaluation.py"):
            assert (ROOT / "models" / name / file).exists(), f"models/{name} has no {file}"


def test_families_do_not_import_each_other(graph: Any) -> None:
    crossing = [pair for pair in imports(graph, "models") if family(pair[0]) and family(pair[1])]
    assert not [(module, imported) for module, imported in crossing if family(module) != family(imported)]


def test_what_families_share_knows_none_of_them(graph: Any) -> None:
    assert not [pair for pair in imports(graph, "models") if family(pair[1]) and not family(pair[0])]


def test_studies_do_not_import_each_other(graph: Any) -> None:
    """They may share `studies/_NAME.py` and `studies/parts/`."""
    catalogue = {f"studies.{name}" for name in studies.names()}
    assert not [pair for pair in imports(graph, "studies") if pair[1] in catalogue]


def test_the_orchestrator_names_no_study_and_no_family(graph: Any) -> None:
    catalogue = {f"studies.{name}" for name in studies.names()}
    pairs = imports(graph, "orchestrator")
    assert not [pair for pair in pairs if family(pair[1]) or pair[1] in catalogue]
    dotted = "|".join(re.escape(name) for name in [*catalogue, *(f"models.{name}" for name in FAMILIES)])
    for path in (ROOT / "orchestrator").rglob("*.py"):
        assert not re.search(rf"\b({dotted})\b", path.read_text()), path


def test_there_is_no_import_circle(graph: Any) -> None:
    modules = [module for module in graph.modules if module.partition(".")[0] in PACKAGES]
    circles = [
        {module} | graph.find_downstream_modules(module) & graph.find_upstream_modules(module) for module in modules
    ]
    assert not [circle for circle in circles if len(circle) > 1]


def test_few_modules_import_optuna(graph: Any) -> None:
    users = sorted(graph.find_modules_that_directly_import("optuna"))
    assert len(users) <= MOST_OPTUNA, users


def test_attributes_of_trials_are_read_in_one_file() -> None:
    """Everybody else takes a Trial, so all tell the same outcome."""
    readers = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "orchestrator").rglob("*.py")
        if re.search(r"(trial|frozen|one)\.user_attrs", path.read_text())
    ]
    assert readers == ["orchestrator/search/trials.py"]


# What is written there takes its name when it is whole, or lies in a temporary folder.
WRITERS = {
    *("models/parts/training/cache.py", "orchestrator/files.py", "orchestrator/launchers/ray/cargo.py"),
    *("orchestrator/renaming.py", "orchestrator/tracking/mlflow_store.py", "orchestrator/tracking/model_copy.py"),
    "orchestrator/transfer/archive.py",
}


def test_files_are_written_aside_and_renamed() -> None:
    writers = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"\.write_(text|bytes)\(|open\([^)]*[\"']w", path.read_text())
    }
    assert writers == WRITERS


def test_folders_stay_small() -> None:
    others = (ROOT / "benchmarks").rglob("*.py")
    sizes: dict[Path, int] = {}
    for path in [*FILES, *others]:
        sizes[path.parent] = sizes.get(path.parent, 0) + 1
    del sizes[ROOT / CATALOGUE]
    assert not {str(folder): size for folder, size in sizes.items() if size > LARGEST_FOLDER}


def test_files_stay_small() -> None:
    """One idea, one file: past the limit there are two."""
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in FILES}
    assert not {path: length for path, length in lengths.items() if length > LONGEST_FILE}


def test_contracts_have_few_exceptions() -> None:
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    assert sum(len(contract.get("ignore_imports", [])) for contract in contracts) <= MOST_IGNORED


def test_test_files_stay_readable() -> None:
    assert not [str(path) for path in (ROOT / "tests").rglob("*.py") if len(path.read_text().splitlines()) > 400]


def test_no_test_imports_from_a_test() -> None:
    """What tests share is in `tests/support/` and in conftest fixtures."""
    importing = [
        str(path)
        for path in (ROOT / "tests").rglob("*.py")
        if re.search(r"^(from|import) tests\.(\w+\.)*(test_\w+|conftest)\b", path.read_text(), re.M)
    ]
    assert not importing
