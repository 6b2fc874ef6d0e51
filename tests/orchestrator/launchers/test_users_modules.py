"""The current folder: a user's own json.py in it is not taken for the module of that name, and it may be gone."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import QUADRATIC, ROOT
from tests.support.processes import LIMIT, environment


@pytest.mark.slow
def test_modules_of_known_names_in_the_folder_disturb_no_sweep(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_bytes(Path(QUADRATIC).read_bytes())
    for name in ("random", "socket", "torch", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('this is not the module that you look for')\n")
    words = ("run", "json.py", "--name", "shadow", "--trials", "1", "--workers", "1")
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", *words],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stderr


def test_a_current_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    leave = f"import os, sys; os.chdir({str(tmp_path)!r}); os.rmdir({str(tmp_path)!r}); sys.argv[1:] = ['list']; "
    start = "from importlib import import_module; import_module('orchestrator.__main__').start()"
    done = subprocess.run(
        [sys.executable, "-c", leave + start],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert (done.returncode, done.stderr) == (2, "Error: the current folder is gone; go to one that is there\n")
