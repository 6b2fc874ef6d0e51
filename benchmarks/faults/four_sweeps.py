"""A folder of four sweeps, and what its owner does there.

One sweep was stopped in mid-trial, one is a comparison, one has a champion, one asks a study file in the folder itself.
"""

import hashlib
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks._figure import environment
from benchmarks.faults import mlflow_pages
from benchmarks.faults.forked import LIMIT, Command

ROOT = Path(__file__).parents[2]
QUADRATIC, NETWORK = (str(ROOT / "tests" / "toy_studies" / name) for name in ("quadratic.py", "networks.py"))
ONE = ("--device", "cpu", "--deterministic")  # one thread, so that work beside this costs little
HERE = ("--workers", "0")  # no more processes than are needed
SETTINGS = "network_evaluations=60,straight_through=True,width=16,evaluation_samples=32,evaluations=2"
GAN = ("gan", "--data", "digits", "--set", SETTINGS)
STEPS = 20  # of the trials that are stopped after half of them
SWEEPS = {"stopped": 2, "compared": 4, "crowned": 1, "own": 1}  # and their trials, when all have ended
RESUMED: dict[str, tuple[str, ...]] = {
    "stopped": ("--workers", "1"),
    "compared": ("--trials", "6", *HERE),
    "crowned": ("--trials", "2", *HERE),
    "own": ("--trials", "2", *HERE),
}
LOAD = """
import sys, mlflow, torch
mlflow.set_tracking_uri(sys.argv[1])
address = "models:/crowned@champion"
(entry,) = mlflow.models.get_model_info(address).signature.inputs.inputs
assert torch.isfinite(mlflow.pytorch.load_model(address)(torch.zeros(2, *entry.shape[1:]))).all()
"""


class Owner(NamedTuple):
    """Who types commands in a folder; ``stores`` are variables that name stores which are not files in the folder."""

    folder: Path
    stores: Mapping[str, str]

    def types(self, *arguments: str, status: int = 0) -> str:
        """What a command of ``sweep`` prints; AssertionError where it does not end with ``status``."""
        command = Command(self.folder, *arguments, variables=self.stores)
        ended, output = command.end(), command.output.read_text()
        command.output.unlink()
        if ended != status:
            raise AssertionError(f"{' '.join(arguments)} ended with {ended}: {output[-1500:]}")
        return output

    @property
    def tracking_uri(self) -> str:
        """The address of MLflow."""
        return self.stores.get("MLFLOW_TRACKING_URI", f"sqlite:///{self.folder}/mlflow.db")

    def databases(self) -> list[Path]:
        """The stores that are files in the folder."""
        return [path for path in (self.folder / "sweeps.db", self.folder / "mlflow.db") if path.exists()]


def make(owner: Owner, crowned: tuple[str, ...] = GAN) -> dict[str, Any]:
    """Make the sweeps; returns what the one that is stopped has to come to. ``crowned`` says which study has a champion."""
    owner.folder.mkdir(parents=True)
    (owner.folder / "own.py").write_text(Path(QUADRATIC).read_text())
    owner.types("run", "own.py", "--name", "own", "--trials", "1", *ONE, *HERE)
    owner.types("compare", QUADRATIC, "--name", "compared", "--vary", "steps=3,4", "--seeds", "2", *ONE, *HERE)
    owner.types("run", *crowned, "--name", "crowned", "--trials", "1", *ONE, *HERE)
    reference = Owner(owner.folder.with_name(f"{owner.folder.name} reference"), {})
    reference.folder.mkdir()
    (reference.folder / "gate").touch()
    reference.types(*_stopped())
    _stop(owner)
    return results(reference)


def _stopped() -> list[str]:
    settings = ["--set", f"steps={STEPS},gate=gate,jitter=0.5,journal=journal", "--checkpoint-every", "0.1"]
    return [
        "run",
        QUADRATIC,
        "--name",
        "stopped",
        "--trials",
        "2",
        "--pruner",
        "none",
        *settings,
        *ONE,
        "--workers",
        "1",
    ]


def _stop(owner: Owner) -> None:
    command, end = Command(owner.folder, *_stopped(), variables=owner.stores), time.monotonic() + LIMIT
    journal, checkpoint = owner.folder / "journal", owner.folder / ".sweeps/stopped/trial-0/checkpoint.pt"
    while not (journal.exists() and len(journal.read_text().splitlines()) == STEPS // 2 and checkpoint.exists()):
        assert command.runs() and time.monotonic() < end, f"the sweep did not begin: {command.output.read_text()}"
        time.sleep(0.05)
    command.interrupt()
    command.end()
    command.output.unlink()
    (owner.folder / "gate").touch()  # when it is resumed, its trial goes on


def results(owner: Owner) -> dict[str, Any]:
    """What the trials of the sweep that was stopped came to, to the last bit, and the steps that they computed."""
    trials = json.loads(owner.types("show", "stopped", "--json"))["every_trial"]
    weights = [owner.folder / f".sweeps/stopped/trial-{number}/weights.safetensors" for number in range(len(trials))]
    return {
        "trials": [[trial[key] for key in ("outcome", "settings", "values", "reports")] for trial in trials],
        "weights": [hashlib.md5(path.read_bytes()).hexdigest() for path in weights],
        "steps": [line.split()[:2] for line in (owner.folder / "journal").read_text().splitlines()],
    }


def sums(folder: Path) -> dict[str, str]:
    """The MD5 sum of every file of a folder, of a database that of its rows; locks and files beside a database aside."""
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith((".lock", "-wal", "-shm"))]
    return {str(path.relative_to(folder)): hashlib.md5(_content(path)).hexdigest() for path in sorted(paths)}


def _content(path: Path) -> bytes:
    if path.suffix != ".db":
        return path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(connection.iterdump()).encode()


# ---- what its owner does ---------------------------------------------------------------------------------------------


def attempt(owner: Owner, source: Path, expected: Mapping[str, Any]) -> dict[str, str]:
    """Do everything in the folder that came from ``source``; returns what was wrong with each act, '' where nothing was."""
    wrong = {}
    for name, act in _acts(owner, source, expected):
        try:
            act()
            wrong[name] = ""
        except Exception as error:  # whatever is wrong is told, and the rest is tried
            wrong[name] = f"{type(error).__name__}: {error}"
    return wrong


def _acts(owner: Owner, source: Path, expected: Mapping[str, Any]) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each raises where its result is wrong."""
    yield "list", lambda: _list(owner)
    yield "paths", lambda: _paths(owner, source)
    for name in SWEEPS:
        yield f"show {name}", lambda name=name: owner.types("show", name, "0")
        yield f"report {name}", lambda name=name: owner.types("report", name, "-o", f"{name}.html")
    for name in ("own", "crowned"):
        yield f"sample {name}", lambda name=name: owner.types("sample", name, "-o", f"{name}.png")
    for name in SWEEPS:
        yield f"resume {name}", lambda name=name: owner.types("resume", name, *RESUMED[name])
    yield "results", lambda: _compare(results(owner), expected)
    yield "doctor", lambda: owner.types("doctor")
    yield "champion", lambda: _champion(owner)
    yield "mlflow ui", lambda: _pages(owner)
    yield "paths after that", lambda: _paths(owner, source)


def _list(owner: Owner) -> None:
    sweeps = {entry["sweep"]: entry for entry in json.loads(owner.types("list", "--json"))}
    assert sorted(sweeps) == sorted(SWEEPS), sorted(sweeps)
    assert all(entry["tracking_uri"] == owner.tracking_uri for entry in sweeps.values())
    assert all(sweeps[name]["trials"] == SWEEPS[name] for name in SWEEPS)


def _paths(owner: Owner, source: Path) -> None:
    """No store in the folder may lead to where the folder was."""
    for database in owner.databases():
        with closing(sqlite3.connect(database)) as connection:
            lines = [line for line in connection.iterdump() if f"{source}/" in line]
        assert not lines, lines[0][:300]


def _compare(measured: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    for part in expected:
        assert measured[part] == expected[part], f"{part}: {measured[part]} instead of {expected[part]}"


def _champion(owner: Owner) -> None:
    """Load it from another folder."""
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD, owner.tracking_uri],
        cwd=owner.folder.parent,
        env={**environment(), **owner.stores},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert loaded.returncode == 0, loaded.stderr[-1500:]


def _pages(owner: Owner) -> None:
    """The pages of MLflow show pictures of every sweep, and every point of the trial that was stopped once."""
    with mlflow_pages.server(owner.folder, owner.stores) as ask:
        for name in SWEEPS:
            sweep = json.loads(owner.types("show", name, "--json"))
            first = sweep["every_trial"][0]["run"]
            for run in (sweep["run"], first):
                assert any([ask.picture(run, path) for path in ask.files(run)]), f"no picture in {run} of {name}"
            if name == "stopped":
                steps = ask.steps(first, "noise")
                assert steps == list(range(1, STEPS + 1)), steps
