"""Commands that train nothing import no torch, and those that look at Optuna alone no MLflow: each is run as a process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import devices
from tests.support.paths import ROOT

NAMED = str(ROOT / "tests" / "toy_studies" / "named.py")
# The command, then the libraries that it has imported, in the last line of standard error.
RUNNER = """
import sys
from orchestrator.cli.main import main
status = 0
try:
    main(sys.argv[1:], prog_name="sweep")
except SystemExit as leaving:
    status = leaving.code
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(status)
"""
TRAINING = {"torch", "torchvision", "torchmetrics", "safetensors"}
DRAWING = {"mlflow", "pandas", "scipy", "sklearn", "matplotlib"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sweep of two trials."""
    folder = tmp_path_factory.mktemp("place")
    ended, _, message = command(folder, "run", NAMED, "--name", "toy", "--trials", "2", "--workers", "1")
    assert ended == 0, message
    return folder


def command(folder: Path, *arguments: str) -> tuple[int, set[str], str]:
    """The exit status of a command, the libraries that it imported, and what it printed."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "SWEEP_"))}
    process = subprocess.run(
        [sys.executable, "-c", RUNNER, *arguments],
        cwd=folder,
        env={**variables, "PYTHONPATH": str(ROOT), "COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    message, _, libraries = process.stderr.strip().rpartition("\n")
    return process.returncode, set(libraries.split()), process.stdout + message


@pytest.mark.parametrize(
    "arguments",
    [
        "list",
        "list --json",
        "show toy",
        "show toy --json",
        "show toy 1",
        "studies",
        "studies --json",
        "studies ebm --data mnist",
        "studies dvae",
        "enqueue toy x=0.1",
        "extend toy --trials 3",
        "run --help",
        "compare --help",
        "--help",
    ],
)
def test_a_command_that_trains_nothing_imports_neither_torch_nor_mlflow(place: Path, arguments: str) -> None:
    status, libraries, message = command(place, *arguments.split())
    assert status == 0, message
    assert not libraries & (TRAINING | DRAWING)


@pytest.mark.parametrize("arguments", ["doctor", "doctor toy", "report toy"])
def test_what_looks_at_mlflow_imports_no_torch(place: Path, arguments: str) -> None:
    status, libraries, message = command(place, *arguments.split())
    assert status == 0, message
    assert not libraries & TRAINING


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("pause toy", "nobody drives sweep 'toy'"),
        ("stop toy", "nobody drives sweep 'toy'"),
        ("skip toy 1", "nobody drives sweep 'toy'"),
        ("show tox", "no sweep 'tox' here; did you mean toy?"),
        ("show toy 7", "7"),
        ("studies ebn", "no study 'ebn'; did you mean ebm?"),
        ("studies ebm --data chisel", "no data set 'chisel'"),
        ("enqueue toy y=1", "y: sweep 'toy' does not search it"),
        ("enqueue toy x=7", "x=7 is outside the search space"),
        ("extend toy --trials 1", "--trials 1 is the sweep's total and 2 are finished already"),
        ("resume toy --trials 1", "--trials 1 is the sweep's total and 2 are finished already"),
        ("sample toy 9", "trial 9 of 'toy' is not completed"),
        ("report toy -o toy.txt", "toy.txt: what is written is a .html file"),
        ("doctor tox", "no sweep 'tox' here"),
        ("rm tox", "no sweep 'tox' here"),
        ("run ebn", "no study 'ebn'; did you mean ebm?"),
        ("run absent.py", "there is no file 'absent.py'"),
        ("run jem --trials 0", "--trials"),
        ("run jem --workers=-1", "--workers"),
        ("run jem --name a/b", "--name 'a/b' cannot be a name"),
        ("run jem --name toy", "sweep 'toy' exists and asks another study"),
        ("run dvae --data chisel", "no data set 'chisel'"),
        ("run dvae --data mnist:90/20", "'mnist:90/20' says not how to divide the images"),
        ("run dvae --data folder:absent", "there is no folder absent"),
        ("run dvae --data npz:absent.npz", "there is no file absent.npz"),
        ("run gan --set depth=1", "--set depth: no such setting"),
        ("run gan --set batch_size", "--set batch_size has no value"),
        ("run jem --set classes=1", "--set classes=1"),
        ("run conditional_ebm --fix label=none", "label=none is outside the search space"),
        ("run jem --sampler chisel", "--sampler chisel"),
        ("run jem --pruner chisel", "--pruner chisel"),
        ("run jem --deterministic --pruner asha", "--deterministic cannot prune by asha"),
        ("run jem --model champion", "--model champion: the study jem trains its own networks"),
        ("run ebm_sampling", "ebm_sampling needs a trained network"),
        ("run ebm_sampling --model champion", "--model champion: no sweep here has trained one"),
        ("run jem --storage chisel", "--storage=chisel is no database address"),
        ("run jem --tracking-uri sqlite:///sweeps.db", "is the database of --storage as well"),
        ("compare jem --vary depth=1", "nothing to compare"),
        ("compare jem --vary dept=1,2", "--vary dept: no such setting"),
        ("compare jem --vary classes=1,2", "--vary classes=1,2"),
        ("compare jem --vary network=resnet18,cnn", "the arm network=resnet18 cannot work"),
    ],
)
def test_a_refusal_imports_no_torch(place: Path, arguments: str, sentence: str) -> None:
    status, libraries, message = command(place, *arguments.split())
    assert status == 2 and sentence in message
    assert not libraries & TRAINING and "mlflow" not in libraries


@pytest.mark.skipif(devices._driver(), reason="which devices there are is asked of torch where there may be a GPU")
def test_a_device_that_is_not_there_is_refused_without_torch(place: Path) -> None:
    for arguments in ("run jem --device chisel", "resume toy --device cuda", "sample toy --device cuda:7"):
        status, libraries, message = command(place, *arguments.split())
        assert status == 2 and "there are: auto, cpu" in message
        assert not libraries & TRAINING
