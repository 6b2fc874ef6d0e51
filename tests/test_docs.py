"""What README, docs/ and every `--help` tell the reader to type is typed here, in a folder that has the sweeps they speak of.

Sweeps that would train are planned to the end (``--dry-run``), or resumed for no time at all; data that would be downloaded
have a stand-in of the same shape. What administers somebody's server, installs this project or runs these tests is not typed.
"""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from mlflow.projects import utils as projects
from PIL import Image

import benchmarks.__main__ as benchmarks
from models.data import dataset as datasets
from models.data.arrays import CLASSES, Arrays
from models.data.known import KNOWN, KnownSet
from models.parts.evaluation import judge
from models.parts.training import cache
from orchestrator.cli.main import main
from orchestrator.supervisor import estimate
from orchestrator.tracking import server
from tests.support import variables
from tests.support.documented import ROOT, Shown, everywhere
from tests.support.paths import PROJECT
from tests.support.processes import environment
from tests.support.timing import timed_here

pytestmark = pytest.mark.slow
TOY = "run path/to/yours.py --workers 0 --pruner none"
PLAYED = (
    f"{TOY} --name ebm-digits-1 --trials 8",
    f"{TOY} --name ebm-digits-2 --trials 2",
    f"{TOY} --name dvae-digits-1 --trials 1",
    "compare path/to/yours.py --name ebm-compared-digits-1 --vary n_steps=10,20 --seeds 1 --workers 0",
    # A true energy, as small as can be, for the study that begins with one.
    "run ebm --name trained --trials 1 --workers 0 --pruner none --fix start=noise,n_steps=10 --set blocks=1,width=4,"
    "evaluation_samples=16,evaluation_length=1,evaluations=1,buffer_size=100,network_evaluations=24",
    # Trained models, for the studies that sample one and for commands of one family.
    "run bayes_net --name parents --data digits --trials 1 --workers 0 --pruner none "
    "--set updates=20,evaluations=1,evaluation_samples=16",
    "run diffusion --name diffusion-digits-1 --trials 1 --workers 0 --pruner none --set labels=true,width=8,heads=2,"
    "updates=20,evaluations=1,evaluation_samples=16,bound_images=2,bound_times=1",
    "run points --name points-shapes-1 --trials 1 --workers 0 --pruner none --set points=64,neighbours=8,width=8,steps=2,"
    "updates=20,evaluations=1,evaluation_clouds=1",
    "run vae --name vae-digits-1 --trials 1 --workers 0 --pruner none "
    "--set updates=20,evaluations=1,evaluation_samples=16,bound_images=2",
    "run flow --name flow-digits-1 --trials 1 --workers 0 --pruner none --set width=4,steps=1,updates=20,evaluations=1,"
    "evaluation_samples=16,likelihood_images=16,background_updates=0",
)
# What is typed to administer a server of one's own, in docs/servers.md; tests/support/servers.py starts the like.
ADMINISTRATION = {"apt-get", "su", "echo", "pg_ctlcluster", "adduser", "cp", "chown", "chmod", "curl", "nginx"}
STAND_IN = ROOT / "tests" / "toy_studies" / "stand_in.py"
CHECKS = {"pytest", "tests/postgresql.sh", ".ci/run", "pre-commit"}


def stand_in(side: int, channels: int = 1) -> KnownSet:
    """A data set that is downloaded, with few images, of its own shape."""
    chance = np.random.RandomState(0)
    images = chance.randint(0, 2, (500, channels, side, side)).astype(np.uint8) * 255
    labels = np.arange(500) % 10
    arrays = Arrays("a stand-in", images, labels, CLASSES, 50, (images[:100], labels[:100]))
    return KnownSet((channels, side, side), lambda folder: arrays)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, cache_folder: Path) -> Iterator[Path]:
    """A folder as a reader has it who has followed the pages so far."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        variables.unset(patch)
        patch.chdir(folder)
        patch.setenv("COLUMNS", "160")
        sets = {
            "mnist": stand_in(28),
            "fashion_mnist": stand_in(28),
            "cifar10": stand_in(32, 3),
            "persian": stand_in(28),
        }
        patch.setattr(datasets, "KNOWN", {**KNOWN, **sets})
        patch.setattr(estimate, "_timed_elsewhere", timed_here)
        cache.at_once(judge.obtain(datasets.load("digits", Path("data")), cache_folder, "cpu"))
        shutil.copytree(cache_folder, folder / ".sweeps" / "cache")
        for label in range(26):
            letters = folder / "letters" / chr(ord("a") + label)
            letters.mkdir(parents=True)
            for number in range(8):
                Image.new("L", (28, 28), 8 * label + number).save(letters / f"{number}.png")
        photographs = np.random.RandomState(0).randint(0, 256, (60, 32, 32, 3)).astype(np.uint8)
        parts = {f"x_{part}": photographs for part in ("train", "test")}
        np.savez(folder / "cifar10_20k.npz", **parts, y_train=np.arange(60) % 10, y_test=np.arange(60) % 10)
        for name in ("hoda", "modelnet40_c"):
            (folder / "path/to" / name).mkdir(parents=True)
        (folder / "experiments").mkdir()
        shutil.copy(STAND_IN, folder / "path/to/yours.py")
        for line in PLAYED:
            assert "complete" in typed(shlex.split(line))
        # The toy study behind `dvae-digits-1` clusters nothing.
        shutil.copy(folder / "cifar10_20k.npz", folder / ".sweeps/dvae-digits-1/trial-0/pseudo_labelled.npz")
        yield folder


def typed(words: list[str], refusal: str = "", answer: str = "") -> str:
    """What the command says; a refusal must say what is expected of it."""
    done = CliRunner().invoke(main, words, input=answer, catch_exceptions=False)
    assert done.exit_code == (2 if refusal else 0), done.output
    assert refusal in done.output and "Traceback" not in done.output
    return done.output


def ours(words: list[str], patch: pytest.MonkeyPatch) -> None:
    """A command of ours. Nobody drives the sweeps here, so what steers one is told so."""
    name = words[0]
    if name in ("run", "compare") and "--help" not in words:
        if "cuda" in words:
            patch.setattr(torch.cuda, "device_count", lambda: 1)
        missing = next((why for word, why in REFUSED.items() if word in " ".join(words)), "")
        if "energy" in after(words, "--model"):  # `--name energy`, on the same page, must stay free
            words[words.index("energy")] = "trained"
        said = typed([*words, *(["--dry-run"] if "--dry-run" not in words else [])], missing)
        assert missing or "trials" in said
    elif name == "resume":
        typed([*words, "--workers", "0", "--timeout", "0.001"])
    elif name in ("stop", "pause", "skip"):
        typed(words, "nobody drives sweep 'ebm-digits-1'")
    elif name == "rm":  # one after another
        there = typed(["list"])
        words[1] = next(sweep for sweep in (words[1], "ebm-digits-2") if sweep in there)
        assert "removed" in typed(words, answer="y\n")
    elif name == "unpack":  # as often as it is shown
        copies = sum(sweep.startswith("copy-") for sweep in typed(["list"]).split())
        typed([*words, "--name", f"copy-{copies}"])
    elif name == "ui":
        served: list[server.Wanted] = []
        patch.setattr(server, "serve", lambda wanted, console: served.append(wanted))
        typed(words)
        (wanted,) = served
        assert wanted.name in (None, "ebm-digits-1") and wanted.folder.is_dir()
    else:
        assert typed(words)


REFUSED = {
    "hoda:": "no .cdb files in path/to/hoda",
    "modelnet40c:": "has no data_original.npy",
    "inception_weights=": "inception",
}


def of_mlflow(words: list[str], patch: pytest.MonkeyPatch) -> None:
    """`mlflow run`: what its entry point comes to is typed. Its other commands are understood by this MLflow."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of all that MLflow's commands import
        from mlflow.cli import cli
    command = cli.commands[words[0]]
    if isinstance(command, click.Group):
        command, words = command.commands[words[1]], words[1:]
    asked = command.make_context(words[0], words[1:]).params
    if words[0] == "run":
        given = dict(pair.split("=", 1) for pair in asked["param_list"])
        entry = projects.load_project(str(ROOT / asked["uri"])).get_entry_point(asked["entry_point"])
        python, module, package, *rest = shlex.split(entry.compute_command(given, storage_dir=None))
        assert (python, module, package) == ("python", "-m", "orchestrator")
        ours(rest, patch)


def of_python(words: list[str], patch: pytest.MonkeyPatch) -> None:
    """`python -m …`: ours, or a module with the benchmarks or arguments that it names."""
    if words[:2] == ["-m", "orchestrator"]:
        ours(words[2:], patch)
    elif words[:2] == ["-m", "benchmarks"]:
        benchmarks.arguments(words[2:])
    else:
        assert words[0] == "-m" and importlib.util.find_spec(words[1]) is not None


def installed(words: list[str]) -> None:
    """`pip install`: what is asked of this project is something that it has."""
    extras = {extra for word in words for names in re.findall(r"\[([\w,]+)\]", word) for extra in names.split(",")}
    assert extras <= {*PROJECT["optional-dependencies"]} and all(
        Path(ROOT, word).exists() for word in after(words, "-c")
    )


def run_by_uv(words: list[str]) -> str:
    """The command that uv runs in the environment that it makes."""
    if words[0] == "venv":
        return "python -m venv .venv"
    if words[0] == "run":
        installed([f"[{extra}]" for extra in after(words, "--extra")])
        program = next(place for place, word in enumerate(words) if word in ("mlflow", "pytest"))
        words = words[program:]
    return shlex.join(words)


def after(words: list[str], option: str) -> list[str]:
    return [word for before, word in zip(words, words[1:], strict=False) if before == option]


def piped(line: str, folder: Path) -> None:
    """More than one process: a shell runs them."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {line}"], cwd=folder, env=environment() | {"PATH": path})
    assert done.returncode == 0


def late(shown: Shown) -> tuple[int, int]:
    """What changes a sweep is typed when all else has been, greater totals later, and removing it last."""
    changing = ("enqueue", "resume", "extend", "rm")
    name = shown.words[1] if len(shown.words) > 1 else ""
    if name not in changing:
        return 0, 0
    return changing.index(name) + 1, next((int(word) for word in after(shown.words, "--trials")), 0)


def perform(shown: Shown, folder: Path) -> None:
    """Type it."""
    program, *words = shown.words
    with pytest.MonkeyPatch.context() as patch:
        if "&&" in words:
            for line in shown.line.split(" && "):
                perform(Shown(shown.page, line), folder)
        elif "_SWEEP_COMPLETE" in shown.line:  # tests/orchestrator/cli/test_help.py asks as each shell does
            assert re.search(r"_SWEEP_COMPLETE=(bash|zsh|fish)_source sweep\b", shown.line)
        elif "|" in words:
            piped(shown.line, folder)
        elif program == "sweep":
            ours(words, patch)
        elif program == "mlflow":
            of_mlflow(words, patch)
        elif program in ("python", "python3"):
            of_python(words, patch)
        elif program == "uv":
            perform(Shown(shown.page, run_by_uv(words)), folder)
        elif program == ".":
            assert words == [".venv/bin/activate"]
        elif program == "pip":
            installed(words)
        elif program == "export":
            assert re.match(r"[A-Z_]+=.", words[0])
        else:
            assert program in CHECKS or "=" in program or program in ADMINISTRATION and shown.page == "servers.md"


def test_every_command_that_is_shown_can_be_typed(place: Path) -> None:
    failures = []
    for shown in sorted(everywhere(), key=late):
        try:
            perform(shown, place)
        except (AssertionError, Exception) as error:
            failures.append(f"{shown.page}: {shown.line}\n  {type(error).__name__}: {error}")
    assert not failures, "\n".join(failures)
