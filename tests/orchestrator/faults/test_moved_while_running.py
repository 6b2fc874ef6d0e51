"""The folder of a sweep is moved or removed while the sweep runs: the supervisor ends, and nothing is made where it was."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support.cli import GATED, start, sweep
from tests.support.paths import QUADRATIC
from tests.support.processes import wait_until_gone

pytestmark = pytest.mark.slow
TOY = (QUADRATIC, "--name", "toy", "--trials", "2", *GATED)


@pytest.mark.parametrize(
    ("first", "last", "workers"),
    [("old", "new, ü", "2"), ("above/old", "beside/old", "0")],
    ids=["the folder", "its parent"],
)
def test_a_folder_moved_while_its_sweep_runs_goes_on_where_it_is_now(
    folder: Path, first: str, last: str, workers: str
) -> None:
    old, new = folder / first, folder / last
    old.mkdir(parents=True)
    process = start("run", *TOY, "--workers", workers, folder=old)
    try:
        process.wait_for(lambda: list(old.rglob("checkpoint.previous.pt")))
        family = process.family()
        (old if "/" not in first else old.parent).rename(new if "/" not in first else new.parent)
        listed = sweep("list", "--json", cwd=new)
        assert listed.returncode == 0 and json.loads(listed.stdout)[0]["finished"] == 0, listed
        stopped = sweep("stop", "toy", "--now", cwd=new)
        assert stopped.returncode == 0 or "nobody drives sweep 'toy'" in stopped.stderr, stopped
        assert process.finish().returncode == 2, process.output
        wait_until_gone(family)
    finally:
        process.close()
    assert process.stderr.count("\n") == 1 and "Traceback" not in process.output, process.output
    assert f"the folder of sweep 'toy' was moved or removed from {old} while the sweep ran" in process.stderr
    assert "go on with `sweep resume toy` where the folder is now" in process.stderr
    assert not (folder / first.partition("/")[0]).exists(), sorted(old.parent.rglob("*"))
    (new / "gate").touch()
    done = sweep("resume", "toy", "--workers", "1", cwd=new)
    assert done.returncode == 0 and "2/2 finished" in done.stdout, done
    assert sweep("doctor", "toy", cwd=new).returncode == 0


def test_a_folder_removed_while_its_sweep_runs_is_not_made_anew(folder: Path) -> None:
    old = folder / "old"
    old.mkdir()
    process = start("run", *TOY, "--workers", "2", folder=old)
    try:
        process.wait_for(lambda: list(old.rglob("checkpoint.previous.pt")))
        family = process.family()
        while old.exists():
            shutil.rmtree(old, ignore_errors=True)  # what is written meanwhile makes another try necessary
        assert process.finish().returncode == 2, process.output
        wait_until_gone(family)
    finally:
        process.close()
    assert process.stderr.count("\n") == 1 and "was moved or removed" in process.stderr, process.output
    assert not old.exists()
