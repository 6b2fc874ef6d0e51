"""A folder for temporary files with a long name, as SLURM gives them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import QUADRATIC
from tests.support.processes import LIMIT, environment


@pytest.mark.slow
def test_workers_start_where_the_folder_for_temporary_files_has_a_long_name(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "run", str(QUADRATIC), "--trials", "1", "--workers", "1"],
        cwd=tmp_path,
        env=environment() | {"TMPDIR": str(long)},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stderr
    assert "1/1 finished" in done.stdout
