"""A folder with four sweeps is moved, renamed, copied, zipped and unpacked; everything that its owner may want is done in it.

One sweep was stopped in mid-trial, one is a comparison, one has a champion, one asks a study file in the folder itself. They
are made once. Each thing that is done counts as tried, and as survived where its result is right. Where the folder was
copied, no file of the original may change.

``python -m benchmarks.faults.moved_folders [WAY ...]`` prints what was wrong.
"""

import hashlib
import importlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.faults.row import Row

ROOT = Path(__file__).parents[2]
QUADRATIC = ROOT / "tests" / "toy_studies" / "quadratic.py"
LIMIT = 600.0  # seconds, which only a hang reaches
GAN = "network_evaluations=60,straight_through=True,width=16,evaluation_samples=32,evaluations=2"
SWEEPS = {"stopped": 2, "compared": 4, "crowned": 1, "own": 1}  # and their trials, when all have ended
RESUMED = {"stopped": [], "compared": ["--trials", "6"], "crowned": ["--trials", "2"], "own": ["--trials", "2"]}
LOAD = """
import sys, mlflow, torch
mlflow.set_tracking_uri(sys.argv[1])
network = mlflow.pytorch.load_model("models:/crowned@champion")
sizes = [int(size) for size in sys.argv[2].split(",")]
assert torch.isfinite(network(torch.zeros(2, *sizes))).all()
"""
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "SWEEP_"))}
ENVIRONMENT |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}


def sweep(folder: Path, *arguments: str) -> str:
    """What a command prints, that runs in a process of its own; AssertionError where it fails."""
    return _output([sys.executable, "-m", "orchestrator", *arguments], folder)


def look(folder: Path, *arguments: str) -> str:
    """The same in a process that has imported everything already: for commands that train nothing."""
    from benchmarks.faults.forked import Command  # it sets what such processes import

    command = Command(folder, *arguments)
    status, output = command.end(), command.output.read_text()
    if status:
        raise AssertionError(f"{' '.join(arguments)} ended with {status}: {output[-1500:]}")
    return output


def _output(line: list[str], folder: Path) -> str:
    done = subprocess.run(
        line, cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT
    )
    if done.returncode:
        raise AssertionError(f"{' '.join(line[2:5])} ended with {done.returncode}: {done.stdout[-1500:]}")
    return done.stdout


def make(folder: Path) -> None:
    """The folder with its sweeps."""
    folder.mkdir(parents=True)
    shutil.copy(QUADRATIC, folder / "own.py")
    one = ("--workers", "1", "--device", "cpu")
    sweep(folder, "run", "own.py", "--name", "own", "--trials", "1", *one)
    sweep(folder, "compare", str(QUADRATIC), "--name", "compared", "--vary", "steps=3,4", "--seeds", "2", *one)
    sweep(folder, "run", "gan", "--name", "crowned", "--trials", "1", "--data", "digits", "--set", GAN, *one)
    _stopped(folder)


def _stopped(folder: Path) -> None:
    options = ["--set", "steps=20,gate=gate", "--checkpoint-every", "0.1", "--workers", "1"]
    line = [
        sys.executable,
        "-m",
        "orchestrator",
        "run",
        str(QUADRATIC),
        "--name",
        "stopped",
        "--trials",
        "2",
        *options,
    ]
    process = subprocess.Popen(line, cwd=folder, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + LIMIT
    while not (folder / ".sweeps/stopped/trial-0/checkpoint.pt").exists():
        assert process.poll() is None and time.monotonic() < end, "the sweep did not begin"
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.wait(LIMIT)
    (folder / "gate").touch()  # when it is resumed, its trial goes on


# ---- what is done to the folder --------------------------------------------------------------------------------------


def _zipped(source: Path, target: Path) -> None:
    archive = shutil.make_archive(str(source.parent / "packed"), "zip", source)
    shutil.rmtree(source)
    shutil.unpack_archive(archive, target)


WAYS: dict[str, tuple[str, Callable[[Path, Path], object]]] = {
    "moved": ("elsewhere/deeper/project", shutil.move),
    "renamed, with a space, a comma and letters of other alphabets": ("my sweeps, ümläut ۱", shutil.move),
    "copied": ("copy", shutil.copytree),
    "zipped and unpacked": ("unpacked", _zipped),
}


def bring(way: str, source: Path, parent: Path) -> Path:
    """Move or copy the folder in one of the WAYS; returns where it is then."""
    name, act = WAYS[way]
    target = parent / name
    target.parent.mkdir(parents=True, exist_ok=True)
    act(source, target)
    return target


def sums(folder: Path) -> dict[str, str]:
    """The MD5 sum of every file of a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.md5(path.read_bytes()).hexdigest() for path in paths}


# ---- what its owner does ---------------------------------------------------------------------------------------------


def checks(folder: Path, source: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """What is tried in the folder that came from ``source``, by name; each raises where its result is wrong."""
    yield "list", lambda: _listed(folder)
    yield "paths", lambda: _paths(folder, source)
    for name in SWEEPS:
        yield f"show {name}", lambda name=name: look(folder, "show", name, "0")
        yield f"report {name}", lambda name=name: look(folder, "report", name, "-o", f"{name}.html")
    for name in ("own", "crowned"):
        yield f"sample {name}", lambda name=name: sweep(folder, "sample", name, "-o", f"{name}.png")
    for name in SWEEPS:
        yield f"resume {name}", lambda name=name: sweep(folder, "resume", name, *RESUMED[name], "--workers", "1")
    yield "doctor", lambda: look(folder, "doctor")
    yield "champion", lambda: champion(folder)
    yield "mlflow ui", lambda: picture(folder)
    yield "paths after that", lambda: _paths(folder, source)


def _listed(folder: Path) -> None:
    sweeps = {entry["sweep"]: entry for entry in json.loads(look(folder, "list", "--json"))}
    assert sorted(sweeps) == sorted(SWEEPS), sorted(sweeps)
    assert all(entry["tracking_uri"] == f"sqlite:///{folder}/mlflow.db" for entry in sweeps.values())
    assert all(sweeps[name]["trials"] == SWEEPS[name] for name in SWEEPS)


def _paths(folder: Path, source: Path) -> None:
    """No store may lead to where the folder was."""
    for database in ("sweeps.db", "mlflow.db"):
        connection = sqlite3.connect(folder / database)
        lines = [line for line in connection.iterdump() if str(source) + "/" in line]
        connection.close()
        assert not lines, lines[0][:300]


def champion(folder: Path) -> None:
    """Load the champion from another folder."""
    model = json.loads((folder / ".sweeps/crowned/trial-0/model.json").read_text())
    connection = sqlite3.connect(folder / "mlflow.db")
    (location,) = connection.execute("select storage_location from model_versions").fetchone()
    connection.close()
    assert Path(location).is_relative_to(folder), location
    example = json.loads(Path(location, "input_example.json").read_text())
    shape, row = [], example["inputs"][0]
    while isinstance(row, list):
        shape.append(str(len(row)))
        row = row[0]
    assert model["study"] == "gan"
    _output([sys.executable, "-c", LOAD, f"sqlite:///{folder}/mlflow.db", ",".join(shape)], folder.parent)


def picture(folder: Path) -> None:
    """Ask a plain `mlflow ui` in the folder for a picture of each sweep, as its pages do."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    line = [sys.executable, "-m", "mlflow", "ui", "--port", str(port), "--workers", "1"]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with tempfile.TemporaryFile() as output:
        server = subprocess.Popen(
            line, cwd=folder, env=ENVIRONMENT | quiet, stdout=output, stderr=output, start_new_session=True
        )
        try:
            _await(f"http://127.0.0.1:{port}/health", server)
            for file in sorted(folder.glob("mlruns/*/*/artifacts/best_samples.png")):
                address = f"http://127.0.0.1:{port}/get-artifact?path={file.name}&run_uuid={file.parts[-3]}"
                with urllib.request.urlopen(address, timeout=LIMIT) as answer:
                    assert answer.read() == file.read_bytes(), address
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(LIMIT)


def _await(address: str, server: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + LIMIT
    while server.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(address, timeout=10):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("mlflow ui does not answer")


def attempt(folder: Path, source: Path) -> dict[str, str]:
    """What each check found wrong, '' where all was right."""
    results = {}
    for name, check in checks(folder, source):
        try:
            check()
            results[name] = ""
        except Exception as error:  # whatever is wrong is told, and the rest is tried
            results[name] = f"{type(error).__name__}: {error}"
    return results


def measure(count: int | None, ways: tuple[str, ...] = tuple(WAYS), show: bool = False) -> Iterator[Row]:
    """A row for each way, tried ``count`` times."""
    for module in ("orchestrator.session", "orchestrator.reports.sweep", "mlflow"):  # before the forks of look
        importlib.import_module(module)
    with tempfile.TemporaryDirectory(prefix="moved-") as top:
        make(Path(top, "made"))
        for way in ways:
            wrong, tried = list[str](), 0
            for turn in range(count or 1):
                place = Path(top, f"{list(WAYS).index(way)}-{turn}")
                source = place / "project"
                shutil.copytree(Path(top, "made"), source)
                look(source, "list")  # it is at home there
                before = sums(source)
                results = attempt(bring(way, source, place), source)
                if source.exists():
                    changed = sorted(name for name, text in sums(source).items() if before.get(name) != text)
                    results["the original"] = f"changed: {changed}" if changed else ""
                tried += len(results)
                wrong += [f"{name} ({text})" if show else name for name, text in results.items() if text]
            yield Row(f"a folder of four sweeps is {way}", tried, tried - len(wrong), ", ".join(wrong) or "nothing")


if __name__ == "__main__":
    for row in measure(None, tuple(sys.argv[1:]) or tuple(WAYS), show=True):
        print(row.markdown(), flush=True)
