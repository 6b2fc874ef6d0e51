"""The disk is full or read-only: the sweep ends in one sentence and goes on when there is room."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faults import (
    EVERY,
    files_only,
)
from tests.support.place import Place, files

pytestmark = pytest.mark.slow


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which can be filled and made read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("only the superuser may mount a file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@files_only
@pytest.mark.parametrize("how", ["full", pytest.param("read-only", marks=pytest.mark.long)])
def test_a_disk_that_takes_no_more_ends_the_sweep_in_one_sentence(place: Place, small_disk: Path, how: str) -> None:
    """Finished trials are intact, and it goes on when there is room."""
    place.folder = small_disk
    place.stores = files(small_disk)
    settings = {"seconds": 0.05, "steps": 30, "gate": "gate"}
    place.prefix = (
        ["setpriv", "--bounding-set", "-dac_override"] if os.geteuid() == 0 else []
    )  # may not write everywhere
    place.open_gate()
    process = place.start(*place.run("--trials", "6", *EVERY, "--checkpoint-every", "0.1", **settings))
    process.wait_for(lambda: list(small_disk.glob(".sweeps/toy/trial-3/checkpoint.pt")))
    place.close_gate()
    filler = small_disk / "filler"
    if how == "full":
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass
    else:
        for one in [small_disk / ".sweeps", *small_disk.glob(".sweeps/**/")]:
            one.chmod(0o555)
    assert process.finish().returncode == 1, process.output
    out, err = process.stdout, process.stderr
    reason = "No space left on device|its disk is full|disk I/O error"
    if how == "read-only":
        reason = "Permission denied"
    sentence = next(line for line in out.splitlines() if line.startswith("ended early: "))
    assert any(words in sentence for words in reason.split("|")), sentence
    assert "Traceback" not in out + err, err
    if how == "full":
        filler.unlink()
    else:
        for one in [small_disk / ".sweeps", *small_disk.glob(".sweeps/**/")]:
            one.chmod(0o755)
    finished = [trial for trial in place.trials() if trial.state.is_finished()]
    assert len(finished) >= 2 and all(trial.values for trial in finished)
    place.open_gate()
    done = place.sweep("resume", "toy", "--workers", "2")
    assert done.returncode == 0, (done.stdout, done.stderr)
    place.check(6, 30)
