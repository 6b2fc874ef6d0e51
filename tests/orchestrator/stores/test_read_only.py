"""A SQLite file that may only be read is read, with what is ahead of it in its log."""

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import environment, python

SCRIPT = """
import sys
from pathlib import Path
from orchestrator.stores import read_only
path = Path(sys.argv[1])
print(read_only.is_read_only(path), read_only.connect(path).execute("select n from numbers").fetchall())
try:
    read_only.connect(path).execute("insert into numbers values (2)")
except Exception as error:
    print(error)
uri = read_only.readable(f"sqlite:///{path}")
snapshot = Path(uri.removeprefix("sqlite:///"))
print(read_only.connect(snapshot).execute("select n from numbers").fetchall(), read_only.source(snapshot) == path)
"""


@pytest.mark.parametrize("writer", ["ended", "killed", "writes"])
def test_a_file_in_a_folder_that_may_only_be_read_is_read(writer: str, tmp_path: Path) -> None:
    """After its writer closed it; after one was killed, which leaves a log; and while one writes."""
    connection = sqlite3.connect(tmp_path / "made.db")
    connection.execute("pragma journal_mode=wal")
    with connection:
        connection.execute("create table numbers (n)")
        connection.execute("insert into numbers values (1)")
    folder = tmp_path
    if writer == "ended":
        connection.close()
    elif writer == "killed":
        folder = tmp_path / "left"
        folder.mkdir()
        for name in ("made.db", "made.db-wal"):
            shutil.copy(tmp_path / name, folder)
    paths = [folder, *folder.glob("made.db*")]
    for path in paths:
        path.chmod(0o555)
    before = sorted(path.name for path in paths)
    # The superuser may write everywhere.
    prefix = ["setpriv", "--bounding-set", "-dac_override"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*prefix, *python("-c", SCRIPT, str(folder / "made.db"))], env=environment(), capture_output=True, text=True
    )
    for path in paths:
        path.chmod(0o755)
    connection.close()
    assert done.stdout.splitlines() == [
        "True [(1,)]",
        "attempt to write a readonly database",
        "[(1,)] True",
    ], done.stderr
    assert writer == "writes" or sorted(path.name for path in [folder, *folder.glob("made.db*")]) == before
