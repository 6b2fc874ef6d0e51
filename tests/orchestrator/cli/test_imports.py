"""Commands that train nothing import no torch, and those that only look no MLflow. Each runs in its own process."""

from collections.abc import Callable, Iterator

import pytest

from orchestrator import devices
from tests.support.cli import sweep
from tests.support.forks import ForkServer
from tests.support.paths import ROOT

NAMED = str(ROOT / "tests" / "toy_studies" / "named.py")
TRAINING = {"torch", "torchvision", "torchmetrics", "safetensors", "ray"}
DRAWING = {"mlflow", "pandas", "scipy", "sklearn", "matplotlib"}
Command = Callable[[str], tuple[int, set[str], str]]


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Runs a command in a folder with a sweep of two trials: its exit status, the libraries that it imported, what it printed."""
    folder = tmp_path_factory.mktemp("place")
    made = sweep("run", NAMED, "--name", "toy", "--trials", "2", "--workers", "1", cwd=folder)
    assert made.returncode == 0, made.stdout + made.stderr
    # Every command of this file opens Optuna's store, so all find imported what that needs.
    server = ForkServer(
        tmp_path_factory.mktemp("output") / "output", grows=False, imported=["orchestrator.search.book"]
    )

    def run(arguments: str) -> tuple[int, set[str], str]:
        ended = server.sweep(folder, {}, tuple(arguments.split()))
        libraries = {name.partition(".")[0] for name in ended.modules}
        assert "orchestrator" in libraries, "it says what it has imported"
        return ended.status, libraries, ended.output

    yield run
    server.close()


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
def test_a_command_that_trains_nothing_imports_neither_torch_nor_mlflow(command: Command, arguments: str) -> None:
    status, libraries, message = command(arguments)
    assert status == 0, message
    assert not libraries & (TRAINING | DRAWING)


@pytest.mark.parametrize("arguments", ["doctor", "doctor toy"])
def test_the_doctor_reads_the_tracker_without_mlflow(command: Command, arguments: str) -> None:
    status, libraries, message = command(arguments)
    assert status == 0, message
    assert libraries & (TRAINING | DRAWING) <= {"safetensors"}, "it looks whether weights are whole, without torch"


def test_a_report_imports_neither_torch_nor_mlflow(command: Command) -> None:
    status, libraries, message = command("report toy")
    assert status == 0, message
    assert not libraries & (TRAINING | {"mlflow"})


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
        ("run dvae --data digits,chisel", "no data set 'chisel'"),
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
def test_a_refusal_imports_no_torch(command: Command, arguments: str, sentence: str) -> None:
    status, libraries, message = command(arguments)
    assert status == 2 and sentence in message
    assert not libraries & (TRAINING | {"mlflow", "matplotlib"})


@pytest.mark.skipif(devices._driver(), reason="which devices there are is asked of torch where there may be a GPU")
def test_a_device_that_is_not_there_is_refused_without_torch(command: Command) -> None:
    for arguments in ("run jem --device chisel", "resume toy --device cuda", "sample toy --device cuda:7"):
        status, libraries, message = command(arguments)
        assert status == 2 and "there are: auto, cpu" in message
        assert not libraries & TRAINING
