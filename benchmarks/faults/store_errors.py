"""What each command says of a store or a file that is damaged, away, read-only or of another version.

A sweep is made once. For each fault its folder is restored to the same place, damaged, and given to each command, which runs
in a fork of this process. A command survives where it ends as it should or with one sentence; a traceback counts as lost.

``python -m benchmarks.faults.store_errors [FAULT ...]`` prints every sentence.
"""

import itertools
import multiprocessing
import os
import re
import shutil
import sqlite3
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.faults.row import Row

QUADRATIC = str(Path(__file__).parents[2] / "tests" / "toy_studies" / "quadratic.py")
LIMIT = 120.0  # seconds of a command
NOBODY = 65534  # a user who owns nothing
COMMANDS = {
    "list": ["list"],
    "show": ["show", "toy"],
    "show 0": ["show", "toy", "0"],
    "run": ["run", QUADRATIC, "--name", "other", "--trials", "1"],
    "resume": ["resume", "toy", "--trials", "3"],
    "extend": ["extend", "toy", "--trials", "4"],
    "enqueue": ["enqueue", "toy", "x=0.25"],
    "sync": ["sync", "toy"],
    "doctor": ["doctor", "toy"],
    "doctor --repair": ["doctor", "toy", "--repair"],
    "report": ["report", "toy", "-o", "report.html"],
    "sample": ["sample", "toy", "0", "-o", "samples.png"],
    "rm": ["rm", "toy", "--yes"],
}


FILES = ("show 0", "resume", "sync", "doctor", "doctor --repair", "report", "sample", "rm")  # that read a trial's files


class Ended(NamedTuple):
    """How a command ended: its exit status, and what it printed."""

    status: int
    output: str

    @property
    def survived(self) -> bool:
        """Whether it ended without a traceback and within the limit."""
        return self.status in (0, 1, 2) and "Traceback" not in self.output


def command(folder: Path, arguments: list[str], user: int = 0) -> Ended:
    """Run `sweep` in ``folder`` in a fork of this process, as ``user`` where that is not 0."""
    with tempfile.TemporaryFile() as output:
        process = multiprocessing.get_context("fork").Process(
            target=_child, args=(folder, arguments, user, output.fileno())
        )
        process.start()
        process.join(LIMIT)
        if process.is_alive():
            process.kill()
            process.join()
        output.seek(0)
        return Ended(process.exitcode or 0, output.read().decode(errors="replace"))


def _child(folder: Path, arguments: list[str], user: int, output: int) -> None:
    os.chdir(folder)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.stdout, sys.stderr = (os.fdopen(stream, "w", buffering=1) for stream in (1, 2))
    if user:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    from orchestrator.cli.main import main

    status = 0
    try:
        main(arguments, prog_name="sweep")
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        status = 99
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


# ---- faults ----------------------------------------------------------------------------------------------------------


def execute(database: str, *statements: str) -> None:
    """Change a database."""
    with sqlite3.connect(database) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def overwrite(path: str, where: float = 0.5, size: int = 4096) -> None:
    """Put random bytes into the middle of a file."""
    with Path(path).open("r+b") as file:
        file.seek(int(Path(path).stat().st_size * where))
        file.write(os.urandom(size))


def run_of(number: int | None) -> str:
    """The MLflow run of a trial, or of the sweep."""
    import json

    folder = Path(".sweeps/toy" if number is None else f".sweeps/toy/trial-{number}")
    return str(json.loads((folder / "outbox" / "sent.json").read_text())["run"])


def artifacts(number: int | None) -> Path:
    """The artifacts of a trial's run, or of the sweep's."""
    return next(Path("mlruns").glob(f"*/{run_of(number)}/artifacts"))


def delete_experiment() -> None:
    """As MLflow's page does."""
    (row,) = sqlite3.connect("mlflow.db").execute("select experiment_id from experiments where name='quadratic'")
    execute(
        "mlflow.db",
        f"update experiments set lifecycle_stage='deleted' where experiment_id={row[0]}",
        f"update runs set lifecycle_stage='deleted' where experiment_id={row[0]}",
    )


def delete_run(number: int | None) -> Callable[[], None]:
    """As MLflow's page does."""
    return lambda: execute("mlflow.db", f"update runs set lifecycle_stage='deleted' where run_uuid='{run_of(number)}'")


def store_is_another(database: str, other: str) -> Callable[[], None]:
    def swap() -> None:
        shutil.copy(other, f"{database}.new")
        os.replace(f"{database}.new", database)

    return swap


def directory(path: str) -> Callable[[], None]:
    def make() -> None:
        Path(path).unlink()
        Path(path).mkdir()

    return make


def text(path: str, content: bytes = b"this is a text\n") -> Callable[[], None]:
    return lambda: void(Path(path).write_bytes(content))


def void(value: object) -> None:
    """Drop a value."""


def faults() -> dict[str, Callable[[], object]]:
    """Every fault by its name: what makes it in the current folder."""
    table: dict[str, Callable[[], object]] = {
        "nothing": lambda: None,
        "experiment deleted": delete_experiment,
        "trial's run deleted": delete_run(0),
        "sweep's run deleted": delete_run(None),
    }
    for database in ("sweeps.db", "mlflow.db"):
        other = "mlflow.db" if database == "sweeps.db" else "sweeps.db"
        table |= {
            f"{database}: truncated": lambda database=database: os.truncate(database, 40000),
            f"{database}: no bytes": text(database, b""),
            f"{database}: random bytes in the middle": lambda database=database: overwrite(database, 0.1, 60000),
            f"{database}: random bytes at the start": lambda database=database: overwrite(database, 0.0),
            f"{database}: a text": text(database),
            f"{database}: a folder": directory(database),
            f"{database}: the other store": store_is_another(database, other),
            f"{database}: newer schema": lambda database=database: execute(
                database, "update alembic_version set version_num='fedcba987654'"
            ),
        }
    table |= {
        "mlflow.db: older schema": lambda: execute(
            "mlflow.db", "update alembic_version set version_num='451aebb31d03'"
        ),
        "sweeps.db: older schema": lambda: execute("sweeps.db", "update alembic_version set version_num='v3.0.0.d'"),
        "sweeps.db: newer Optuna": lambda: execute(
            "sweeps.db",
            "update alembic_version set version_num='v9.0.0'",
            "update version_info set schema_version=13, library_version='9.0.0'",
        ),
    }
    outbox = Path(".sweeps/toy/trial-0/outbox")
    trial = Path(".sweeps/toy/trial-0")
    table |= {
        "outbox: a copied segment": lambda: (outbox / "000001 (copy).jsonl").write_text(
            '{"do":"tags","values":{"a":"b"}}\n'
        ),
        "outbox: a folder": lambda: (outbox / "000007.jsonl").mkdir(),
        "outbox: an empty segment": lambda: (outbox / "000007.jsonl").touch(),
        "outbox: damaged lines": lambda: (outbox / "000007.jsonl").write_bytes(b"nonsense\n\xff\xfe\n"),
        "outbox: unreadable bytes": lambda: (outbox / "000007.jsonl").write_bytes(os.urandom(5000)),
        "outbox: is a file": lambda: (shutil.rmtree(outbox), outbox.write_text("x")),
        "sent.json: damaged": lambda: (outbox / "sent.json").write_text("{nonsense"),
        "sent.json: empty": lambda: (outbox / "sent.json").write_text(""),
        "sent.json: a folder": lambda: ((outbox / "sent.json").unlink(), (outbox / "sent.json").mkdir()),
        "sweep's sent.json: damaged": lambda: (Path(".sweeps/toy/outbox/sent.json")).write_bytes(os.urandom(40)),
        "model.json: damaged": lambda: (trial / "model.json").write_text("{nonsense"),
        "model.json: gone": lambda: (trial / "model.json").unlink(),
        "weights: truncated": lambda: os.truncate(trial / "weights.safetensors", 30),
        "weights: no bytes": lambda: os.truncate(trial / "weights.safetensors", 0),
        "weights: random": lambda: (trial / "weights.safetensors").write_bytes(os.urandom(200)),
        "weights: a folder": lambda: (
            (trial / "weights.safetensors").unlink(),
            (trial / "weights.safetensors").mkdir(),
        ),
        "weights: gone": lambda: (trial / "weights.safetensors").unlink(),
        "best weights: truncated": lambda: os.truncate(".sweeps/toy/trial-1/weights.safetensors", 30),
        "samples.png: truncated": lambda: os.truncate(trial / "samples.png", 60),
        "samples.png: no bytes": lambda: os.truncate(trial / "samples.png", 0),
        "samples.png: a text": lambda: (trial / "samples.png").write_text("text"),
        "samples.png: a folder": lambda: ((trial / "samples.png").unlink(), (trial / "samples.png").mkdir()),
        "trial folder: a file": lambda: (shutil.rmtree(trial), trial.write_text("x")),
        "a folder trial-x": lambda: Path(".sweeps/toy/trial-x").mkdir(),
        "sweep folder: gone": lambda: shutil.rmtree(".sweeps/toy"),
        "mlruns: gone": lambda: shutil.rmtree("mlruns"),
        "mlruns: a file": lambda: (shutil.rmtree("mlruns"), Path("mlruns").write_text("x")),
        "config.json of a run: gone": lambda: (artifacts(0) / "config.json").unlink(),
        "config.json of a run: damaged": lambda: (artifacts(0) / "config.json").write_bytes(os.urandom(50)),
        "pictures of a run: damaged": lambda: [path.write_bytes(b"x") for path in (artifacts(0) / "images").iterdir()],
        "figures of the sweep: gone": lambda: shutil.rmtree(artifacts(None) / "figures"),
        "figures of the sweep: damaged": lambda: [
            path.write_bytes(b"x") for path in (artifacts(None) / "figures").iterdir()
        ],
    }
    return table


def left_trial_faults() -> dict[str, Callable[[], object]]:
    """Faults of a trial that was left in the middle."""
    trial = Path(".sweeps/left/trial-0")
    return {
        "checkpoints: truncated": lambda: [os.truncate(path, 100) for path in trial.glob("checkpoint*.pt")],
        "checkpoints: random": lambda: [path.write_bytes(os.urandom(900)) for path in trial.glob("checkpoint*.pt")],
        "ended.json: damaged": lambda: (trial / "ended.json").write_bytes(b"{nonsense"),
        "worker.json: damaged": lambda: (trial / "worker.json").write_bytes(b"[1]"),
        "worker.json: a folder": lambda: (
            (trial / "worker.json").unlink(missing_ok=True),
            (trial / "worker.json").mkdir(),
        ),
    }


READ_ONLY = {
    "sweeps.db read-only": ["sweeps.db"],
    "mlflow.db read-only": ["mlflow.db"],
    "mlruns read-only": ["mlruns"],
    ".sweeps/toy read-only": [".sweeps/toy"],
    "outbox read-only": [".sweeps/toy/trial-0/outbox"],
    "the folder read-only": ["."],
}


def closed(names: list[str]) -> None:
    """Give all of the folder to NOBODY but ``names``, which they may only read."""
    for path in [Path("."), *Path(".").rglob("*")]:
        os.chown(path, NOBODY, NOBODY)
    for name in names:
        for path in [Path(name), *(Path(name).rglob("*") if Path(name).is_dir() else ())]:
            os.chown(path, 0, 0)
            path.chmod(0o755 if path.is_dir() else 0o644)


# ---- the table -------------------------------------------------------------------------------------------------------


class Try(NamedTuple):
    """A command that met a fault."""

    fault: str
    command: str
    ended: Ended


def tries(wanted: list[str]) -> Iterator[Try]:
    """Every fault that contains one of ``wanted``, or all, times every command."""
    import mlflow  # noqa: F401  imported before forking
    import optuna  # noqa: F401
    import torch  # noqa: F401

    import orchestrator.cli.main  # noqa: F401
    import orchestrator.reports.sweep  # noqa: F401
    import orchestrator.tracking.mlflow_store  # noqa: F401

    os.environ["OMP_NUM_THREADS"] = "1"
    for name in list(os.environ):
        if name.startswith("MLFLOW_") or name == "SWEEP_STORAGE":
            del os.environ[name]
    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o755)
        place, template = Path(root, "place"), Path(root, "template")
        place.mkdir()
        made = command(place, ["run", QUADRATIC, "--name", "toy", "--trials", "2", "--workers", "0"])
        assert made.status == 0, made.output
        shutil.copytree(place, template)
        table = [(name, make, 0) for name, make in faults().items()]
        table += [(name, lambda names=names: closed(names), NOBODY) for name, names in READ_ONLY.items()]
        for name, make, user in table:
            if wanted and not any(part in name for part in wanted):
                continue
            for title, arguments in COMMANDS.items():
                if title not in FILES and user == 0 and ".db" not in name and "deleted" not in name:
                    continue
                shutil.rmtree(place)
                shutil.copytree(template, place)
                os.chdir(place)
                make()
                extra = ["--workers", "0"] if title in ("run", "resume") else []
                yield Try(name, title, command(place, arguments + extra, user))
                os.chdir(root)


def measure(count: int | None) -> Iterator[Row]:
    """A row a fault: the commands that met it, and how many ended as they should or with one sentence."""
    for fault, group in itertools.groupby(tries([]), key=lambda one: one.fault):
        ended = [one.ended.survived for one in group]
        lost = len(ended) - sum(ended)
        yield Row(f"{fault}: commands", len(ended), sum(ended), f"{lost} ended in a traceback" if lost else "nothing")


def short(output: str) -> str:
    """The sentence of a refusal, or the last line of a traceback."""
    lines = [line for line in output.splitlines() if line.strip()]
    error = [line for line in lines if line.startswith("Error: ")]
    text = error[0] if error else " ¦ ".join(lines[-3:] if "Traceback" in output else lines[-6:])
    return re.sub(r"/tmp/\w+/place", "…", text)[:700]


if __name__ == "__main__":
    before = ""
    for row in tries(sys.argv[1:]):
        if row.fault != before:
            print(f"\n== {row.fault}")
        before = row.fault
        print(
            f"{'' if row.ended.survived else 'LOST '}{row.command} [{row.ended.status}]: {short(row.ended.output)}",
            flush=True,
        )
