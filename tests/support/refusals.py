"""Commands that are refused: for every command, every kind of refusal that it has. Nothing may differ afterwards."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from click.testing import CliRunner

from orchestrator import session, sweep
from orchestrator.cli.main import main
from orchestrator.search import plan
from orchestrator.search.options import request
from orchestrator.stores import optuna_storage
from tests.support import cli
from tests.support.paths import QUADRATIC
from tests.support.stores import dump, two_trials_train

# For each command, arguments with which it is not refused: of the sweep `done`, which is finished, or of `toy`, which is driven.
VALID: dict[str, tuple[str, ...]] = {
    "run": (QUADRATIC, "--trials", "1"),
    "compare": (QUADRATIC, "--vary", "x=0.1,0.2"),
    "resume": ("done",),
    "list": (),
    "show": ("done",),
    "studies": (),
    "ui": ("done", "--no-browser", "--port", "0", "--dashboard"),
    "stop": ("toy",),
    "pause": ("toy",),
    "extend": ("toy", "--trials", "9"),
    "skip": ("toy", "0"),
    "enqueue": ("done", "x=0.5"),
    "sync": ("done",),
    "rm": ("done", "--yes"),
    "doctor": ("done", "--repair"),
    "report": ("done",),
    "sample": ("done",),
    "pack": ("done", "-o", "done.zip"),
    "unpack": ("tiny.npz",),
    "cluster": ("slurm", "run", QUADRATIC),
}


class Refusal(NamedTuple):
    """A command that is refused, and a part of what it says; '' where click says it."""

    kind: str
    arguments: tuple[str, ...]
    sentence: str = ""


TOY = ("run", QUADRATIC, "--name", "toy")
WAITING = ("--pruner", "none", "--set", "steps=40", "--set", "gate=gate")  # at the gate, which nobody opens
OF_SWEEPS = [
    Refusal("driven", ("resume", "toy"), "give it another total with `sweep extend toy --trials N`"),
    Refusal("driven", ("resume", "toy", "--trials", "7"), "is being driven by process"),
    Refusal("driven", ("resume", "toy", "--accept-drift", "--workers", "1"), "is being driven by process"),
    Refusal("driven", (*TOY, *WAITING), "is being driven by process"),
    Refusal(
        "driven",
        (*TOY, *WAITING, "--trials", "9"),
        "is being driven by process",
    ),
    Refusal("driven", (*TOY, "--seed", "5"), "exists with other settings"),
    Refusal("driven", ("rm", "toy"), "is being driven by process"),
    Refusal("driven", ("rm", "toy", "--yes", "--keep-runs"), "is being driven by process"),
    Refusal("driven", ("sync", "toy"), "is being driven by process"),
    Refusal("driven", ("extend", "toy", "--trials", "1"), "is the sweep's total and 2 are finished or begun already"),
    Refusal("driven", ("extend", "toy"), "say how far"),
    Refusal("driven", ("skip", "toy", "9"), "trial 9 of 'toy' does not run; these do: 0, 1"),
    Refusal("driven", ("enqueue", "toy", "x=9"), "x=9 is outside the search space"),
    Refusal("driven", ("enqueue", "toy", "y=1"), "does not search it"),
    Refusal("driven", ("show", "toy", "9"), "9"),
    Refusal("driven", ("sample", "toy"), "no trial of 'toy' is completed"),
    Refusal("driven", ("pack", "toy"), "is being driven by process"),
    Refusal("finished", ("stop", "done"), "nobody drives sweep 'done'"),
    Refusal("finished", ("pause", "done"), "nobody drives sweep 'done'"),
    Refusal("finished", ("skip", "done", "0"), "nobody drives sweep 'done'"),
    Refusal("finished", ("extend", "done", "--timeout", "9"), "nobody drives sweep 'done'"),
    Refusal("finished", ("extend", "done", "--trials", "1"), "2 are finished already; give 2 or more"),
    Refusal("finished", ("resume", "done", "--trials", "1"), "2 are finished already; give 2 or more"),
    Refusal("finished", ("resume", "done", "--trials", "5", "--device", "abacus"), "--device abacus: no device"),
    Refusal("finished", ("run", "ebm", "--name", "done"), "exists and asks another study"),
    Refusal("finished", ("show", "done", "99"), "99"),
    Refusal("finished", ("show", "done", "--watch", "--json"), "--watch follows a whole sweep"),
    Refusal("finished", ("sample", "done", "99"), "trial 99 of 'done' is not completed"),
    Refusal("finished", ("sample", "done", "--device", "abacus"), "--device abacus: no device"),
    Refusal("drift", ("resume", "mine"), "cannot go on, its study has changed since"),
    Refusal("drift", ("resume", "mine", "--trials", "9"), "cannot go on, its study has changed since"),
    Refusal("drift", ("run", "mine.py", "--name", "mine", "--trials", "9"), "exists with other settings"),
    Refusal("drift", ("resume", "data", "--trials", "9"), "its data npz:tiny.npz have changed since"),
    Refusal(
        "drift", ("resume", "gone", "--trials", "9"), "there is no file gone.py, which is its study; put it back there"
    ),
    Refusal("a folder", ("report", "done", "-o", "absent/done.html"), "make it first"),
    Refusal("a folder", ("report", "done", "-o", "mine.py/done.html"), "make it first"),
    Refusal("a folder", ("report", "done", "-o", "done.txt"), "what is written is a .html file"),
    Refusal("a folder", ("sample", "done", "-o", "absent/done.png"), "make it first"),
    Refusal("a folder", ("pack", "done", "-o", "absent/done.zip"), "name a file in a folder that is there"),
    Refusal("a folder", ("unpack", "absent.zip"), "there is no file absent.zip"),
    Refusal("a folder", ("unpack", "tiny.npz"), "tiny.npz"),
    Refusal("a folder", ("unpack", "mine.py"), "is no packed sweep"),
    Refusal("a folder", ("ui", "--folder", "absent"), "absent"),
    Refusal("a folder", ("run", QUADRATIC, "--storage", "sqlite:///absent/sweeps.db"), "make it: mkdir -p"),
    Refusal("a folder", ("run", QUADRATIC, "--tracking-uri", "sqlite:///absent/mlflow.db"), "make it: mkdir -p"),
    Refusal("another's", ("run", QUADRATIC, "--tracking-uri", "sqlite:///sweeps.db"), "is the database of --storage"),
    Refusal("another's", ("show", "done", "--storage", "sqlite:///mlflow.db"), "is the database of MLflow"),
    Refusal("another's", ("resume", "done", "--storage", "sqlite:///mlflow.db"), "is the database of MLflow"),
]


@contextmanager
def folder_of_sweeps(folder: Path) -> Iterator[None]:
    """Work in a folder with a driven sweep, a finished one, and three that cannot go on: study, data or file have changed."""
    before = Path.cwd()
    os.chdir(folder)
    process = cli.start(*TOY, "--trials", "3", "--workers", "2", *WAITING, folder=folder)
    try:
        process.wait_for(two_trials_train)
        sweep.run(QUADRATIC, name="done", trials=2, workers=0, set={"steps": 3}, quiet=True)
        source = Path(QUADRATIC).read_text()
        for name in ("mine.py", "gone.py"):
            Path(name).write_text(source)
        _write_data(1)
        storage = optuna_storage.meant(None)
        for study, name, data in (
            ("mine.py", "mine", None),
            ("gone.py", "gone", None),
            (QUADRATIC, "data", "npz:tiny.npz"),
        ):
            session.make(plan.resolve(request(study, name=name, data=data), storage), storage)
        Path("mine.py").write_text(source.replace("-1.0, 1.0", "-2.0, 1.0"))
        Path("gone.py").unlink()
        _write_data(2)
        yield
    finally:
        process.close()
        os.chdir(before)


def _write_data(seed: int) -> None:
    chance = np.random.default_rng(seed)
    images, labels = chance.integers(0, 256, (40, 8, 8), dtype=np.uint8), np.arange(40) % 2
    np.savez("tiny.npz", x_train=images, x_test=images, y_train=labels, y_test=labels)


def all_refusals() -> Iterator[Refusal]:
    """The table, and what follows for every command from its own options."""
    yield from OF_SWEEPS
    for name, command in main.commands.items():
        valid = VALID[name]
        yield Refusal("an option", (name, *valid, "--no-such-option"))
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                yield from (Refusal("a value", (name, *valid, parameter.opts[0], text)) for text in _wrong(parameter))
            elif parameter.name == "name":
                yield Refusal("a sweep", (name, "nobody", *valid[1:]), "nobody")


def _wrong(option: click.Option) -> Iterator[str]:
    """Values that an option cannot have, by its type."""
    kind = getattr(option.type, "inner", option.type)
    if isinstance(kind, click.types.IntParamType):
        yield from ("many", "1.5", "nan")
    if isinstance(kind, click.types.FloatParamType):
        yield from ("long", "nan", "inf", "-1", "1e300")
    if option.name in ("storage", "tracking_uri"):
        yield from ("chisel://x", "postgresql://me:secret@nowhere/x")
    if option.name in ("sampler", "pruner", "launcher", "device"):
        yield "nonsense"


def refused(refusal: Refusal) -> str:
    """Give the command in this process; returns what is wrong with its refusal, '' where it is one sentence with status 2."""
    done = CliRunner().invoke(main, refusal.arguments)
    text = " ".join(done.output.split())
    if done.exit_code != 2:
        return f"status {done.exit_code}, {done.exception!r}: {text[-300:]}"
    return "" if refusal.sentence in text else f"says: {text[-300:]}"


def snapshot(folder: Path) -> dict[str, Any]:
    """The rows of both stores and all files, without locks and what a running sweep writes by itself."""
    found: dict[str, Any] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.suffix == ".db":
            found[name] = [row for row in dump(str(path)) if "'driver'" not in row]
        elif not name.endswith((".lock", "-wal", "-shm")) and path.parent.parent.name != "toy":
            found[name] = (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else "folder"
    return found


def difference(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What differs between two snapshots."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
