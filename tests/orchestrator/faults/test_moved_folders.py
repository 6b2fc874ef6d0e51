"""A folder of sweeps is moved, copied, zipped, or may only be read. benchmarks/faults/moved_folders.py does it in more ways."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from benchmarks.faults.four_sweeps import NETWORK, Owner, attempt, make, sums
from tests.support.cli import command, sweep
from tests.support.earlier import FIXTURES, FOLDER, as_before
from tests.support.paths import QUADRATIC
from tests.support.processes import LIMIT, environment
from tests.support.servers import Postgresql

pytestmark = pytest.mark.slow
TOY = (QUADRATIC, "--name", "toy", "--trials", "1", "--workers", "1")


def rows(postgresql: Postgresql, address: str) -> list[str]:
    """Everything in a database; pg_dump adds a word that is another each time."""
    return [
        line for line in postgresql.dump(address).splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))
    ]


def test_everything_works_in_a_copy_and_the_original_stays_as_it_was(folder: Path) -> None:
    """Four sweeps: one stopped in mid-trial, a comparison, one with a champion, one by a study file in the folder."""
    first, second = Owner(folder / "project", {}), Owner(folder / "my copy, ümläut ۱", {})
    expected = make(first, (NETWORK,))
    before = sums(first.folder)
    shutil.copytree(first.folder, second.folder)
    assert {name: text for name, text in attempt(second, first.folder, expected).items() if text} == {}
    second.types("rm", "crowned", "--yes")
    assert not (second.folder / ".sweeps/crowned").exists()
    assert sums(first.folder) == before


def test_sweeps_of_an_earlier_version_go_on_where_they_were_moved(folder: Path) -> None:
    """What they stored is where they were made, which is gone."""
    with tarfile.open(FIXTURES / "sweeps-at-197e99b.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    home = folder / "moved, here"
    (folder / FOLDER.name).rename(home)
    listed = sweep("list", "--json", cwd=home)
    expected = (FIXTURES / "expected" / "list.json").read_text()
    then = json.loads(expected.replace(str(FOLDER), str(home)))
    assert as_before(json.loads(listed.stdout), then) == then, listed.stderr
    connection = sqlite3.connect(home / "mlflow.db")
    assert not [line for line in connection.iterdump() if f"{FOLDER}/" in line]
    connection.close()
    script = (
        "import mlflow, torch; mlflow.set_tracking_uri('sqlite:///mlflow.db'); "
        "mlflow.pytorch.load_model('models:/jem-digits-1@champion')(torch.zeros(2, 1, 8, 8))"
    )
    loaded = subprocess.run([sys.executable, "-c", script], cwd=home, env=environment(), timeout=LIMIT, text=True)
    assert loaded.returncode == 0
    for arguments in (
        ["report", "ebm-digits-1"],
        ["resume", "ebm-compared-digits-1", "--trials", "6", "--workers", "1"],
        ["doctor"],
    ):
        done = sweep(*arguments, cwd=home)
        assert done.returncode == 0, done
    assert (home / ".sweeps/ebm-compared-digits-1/trial-5").exists()
    assert not FOLDER.exists() or not (FOLDER / ".sweeps/ebm-compared-digits-1/trial-5").exists()


def test_a_copy_whose_storage_is_a_server_is_refused(
    folder: Path, postgresql: Postgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the original is changed, and when the original is gone the copy is the sweep's folder."""
    address = postgresql.database()
    for name, value in {"SWEEP_STORAGE": address, **postgresql.environment}.items():
        monkeypatch.setenv(name, value)
    first, second = folder / "first", folder / "second"
    first.mkdir()
    assert sweep("run", *TOY, cwd=first).returncode == 0
    shutil.copytree(first, second)
    before = sums(first), rows(postgresql, address)
    refused = [
        ["resume", "toy", "--trials", "2"],
        ["run", QUADRATIC, "--name", "toy", "--trials", "2"],
        ["extend", "toy", "--trials", "3"],
        ["enqueue", "toy", "x=0.5"],
        ["sync", "toy"],
        ["rm", "toy", "--yes"],
    ]
    for arguments in refused:
        done = sweep(*arguments, cwd=second)
        assert done.returncode == 2 and "Traceback" not in done.stderr, done
        assert f"belongs to {first}" in done.stderr and "sweep pack toy" in done.stderr, done
    assert sweep("show", "toy", cwd=second).returncode == sweep("doctor", cwd=second).returncode == 0
    assert (sums(first), rows(postgresql, address)) == before
    shutil.rmtree(first)
    done = sweep("resume", "toy", "--trials", "2", "--workers", "1", cwd=second)
    assert done.returncode == 0, done
    assert not first.exists() and (second / ".sweeps/toy/trial-1").exists()


def test_a_folder_that_may_only_be_read_is_looked_at_and_not_changed(folder: Path) -> None:
    first, home = folder / "first", folder / "moved"
    first.mkdir()
    assert sweep("run", *TOY, cwd=first).returncode == 0
    first.rename(home)  # so MLflow's file says the wrong place, and cannot be told
    before = sums(home)
    paths = [home, *home.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    report = folder / "report.html"
    report.touch()
    # The superuser may write everywhere.
    prefix = ["setpriv", "--bounding-set", "-dac_override"] if os.geteuid() == 0 else []
    try:
        for status, text, arguments in (
            (0, "toy", ["list"]),
            (0, "distance", ["show", "toy", "0"]),
            (0, "report of toy", ["report", "toy", "-o", str(report)]),
            (0, "whole", ["doctor", "toy"]),
            (2, "may only be read", ["resume", "toy", "--trials", "2"]),
            (2, "cannot be written to", ["run", QUADRATIC, "--name", "other"]),
            (2, "may only be read", ["rm", "toy", "--yes"]),
        ):
            done = subprocess.run(
                [*prefix, *command(*arguments)],
                cwd=home,
                env=environment(),
                capture_output=True,
                text=True,
                timeout=LIMIT,
            )
            assert done.returncode == status and text in done.stdout + done.stderr, done
            assert "Traceback" not in done.stderr, done.stderr
    finally:
        for path in paths:
            path.chmod(0o755)
    assert sums(home) == before
    pictures = [path.read_bytes() for path in home.glob("mlruns/*/*/artifacts/figures/*.png")]
    assert pictures == [] or "data:image" in report.read_text()
