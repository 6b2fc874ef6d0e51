"""What a benchmark finds, the machine it found it on, and how to run our command line as a user would."""

import os
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

SWEEP = (sys.executable, "-m", "orchestrator")


@dataclass(frozen=True)
class Figure:
    """A measured number in words, and whether it is what it should be; without a target it is there to compare with."""

    name: str
    measured: str
    target: str = ""
    ok: bool | None = None


def machine() -> dict[str, str]:
    """Cores, processor, load by others and versions: what a figure means nothing without."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = f"{os.getloadavg()[0]:.1f} before these benchmarks" if hasattr(os, "getloadavg") else "unknown"
    packages = {name: version(name.lower()) for name in ("torch", "MLflow", "Optuna")}
    return {
        "cores": str(cores),
        "processor": _processor(),
        "load": load,
        "Python": platform.python_version(),
        **packages,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def environment() -> Mapping[str, str]:
    """Ours without MLflow's settings, which would lead a sweep to another store, and with output that comes at once."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "SWEEP_"))}
    return kept | {"PYTHONUNBUFFERED": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}


@contextmanager
def empty_folder() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with TemporaryDirectory(prefix="benchmark-") as folder:
        yield Path(folder)
