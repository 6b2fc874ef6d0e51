"""A user's own json.py, random.py or torch.py in the current folder is not taken for the module of that name."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import QUADRATIC
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
