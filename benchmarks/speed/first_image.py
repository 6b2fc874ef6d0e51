"""A new user's first minute: from `mlflow run . -e ebm_sweep` to the first image that MLflow has, on a copy of the project."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks._figure import Figure, empty_folder, environment

ROOT = Path(__file__).parents[2]
PACKAGES, FILES = ("orchestrator", "studies", "models", "samplers"), ("MLproject", "conda.yaml")
SECONDS, PATIENCE = 30, 300


def measure(quick: bool) -> Iterator[Figure]:
    """Until an image lies among MLflow's artifacts; then the sweep is ended. There is nothing to repeat less often."""
    with empty_folder() as folder:
        for name in PACKAGES:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in FILES:
            shutil.copy(ROOT / name, folder)
        took = _first_image(folder)
    yield Figure("mlflow run . -e ebm_sweep, until the first image", f"{took:.1f} s", f"< {SECONDS} s", took < SECONDS)


def _first_image(folder: Path) -> float:
    command = [sys.executable, "-m", "mlflow", "run", ".", "-e", "ebm_sweep", "--env-manager", "local"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # MLflow runs the first python there
    began = time.perf_counter()
    with subprocess.Popen(
        command, cwd=folder, env={**environment(), "PATH": path}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            while not any(folder.glob("mlruns/*/*/artifacts/images/*.png")):
                if process.poll() is not None or time.perf_counter() - began > PATIENCE:
                    said = process.stderr.read().decode(errors="replace") if process.poll() and process.stderr else ""
                    raise RuntimeError(f"no image within {time.perf_counter() - began:.0f} s: {said[-2000:]}")
                time.sleep(0.05)
            return time.perf_counter() - began
        finally:
            family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            process.terminate()  # the sweep notices that it is gone, and ends in order
            process.communicate()
            psutil.wait_procs(family, PATIENCE)
