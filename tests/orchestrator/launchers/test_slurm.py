"""The script for SLURM on a real SLURM of two virtual nodes: accepted, played on both, queued again, nothing left."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli.main import main
from tests.support import virtual_slurm
from tests.support.faults import computed
from tests.support.paths import QUADRATIC
from tests.support.processes import LIMIT, environment, wait_for
from tests.support.ray_sweeps import whole

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'generative-sweeps[ray]'"),
    pytest.mark.skipif(not virtual_slurm.available(), reason=virtual_slurm.REFUSAL),
]


@pytest.fixture
def slurm() -> Iterator[dict[str, str]]:
    with virtual_slurm.nodes() as variables:
        yield environment() | variables


def programs(folder: Path) -> str:
    """The command for --setup by which nodes know this Python's programs."""
    folder.mkdir()
    for name, module in (("sweep", "-m orchestrator"), ("ray", "-m ray.scripts.scripts"), ("python", "")):
        (folder / name).write_text(f'#!/bin/bash\nexec {sys.executable} {module} "$@"\n')
        (folder / name).chmod(0o755)
    return f'export PATH={shlex.quote(str(folder))}:"$PATH"'


def test_a_job_that_is_told_to_leave_is_queued_again_and_goes_on(folder: Path, slurm: dict[str, str]) -> None:
    def said(*command: str) -> str:
        done = subprocess.run(command, env=slurm, capture_output=True, text=True, timeout=LIMIT)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    journal, gate = folder / "journal", folder / "gate"
    settings = f"steps=40,seconds=0.05,journal={journal},gate={gate}"
    sweep = ("run", QUADRATIC, "--trials", "3", "--pruner", "none", "--checkpoint-every", "0.5", "--set", settings)
    options = ("--nodes", "2", "--cpus-per-node", "1", "--name", "toy", "--setup", programs(folder / "programs"))
    printed = CliRunner().invoke(main, ["cluster", "slurm", *options, "--", *sweep])
    assert printed.exit_code == 0, printed.output
    (folder / "script").write_text(printed.output)
    assert "to start at" in said("sbatch", "--test-only", "script")
    job = said("sbatch", "--parsable", "script").strip()
    log = folder / f"toy-{job}.log"

    def seen() -> str:
        told = said("scontrol", "show", "job", job) + said("sinfo", "--list-reasons")
        return told + (log.read_text() if log.exists() else "no log")

    def state() -> str:
        return said("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T").strip()

    wait_for(lambda: len([steps for steps in computed(journal).values() if len(steps) == 20]) == 2, seen)
    said("scancel", "--batch", "--signal=TERM", job)  # as two minutes before the end of its time
    wait_for(lambda: state() == "PENDING", seen)
    assert not [*Path("/tmp").glob(f"ray-{job}.*")], "folders of nodes go with them"
    gate.touch()
    wait_for(lambda: state() in ("COMPLETED", "FAILED"), seen)
    assert state() == "COMPLETED", seen()
    assert "3/3 finished" in seen() and not [*Path("/tmp").glob(f"ray-{job}.*")]
    assert all(steps == list(range(1, 41)) for steps in computed(journal).values()), "no step is computed twice"
    whole("toy", 3)
