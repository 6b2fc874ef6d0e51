"""Output that finds no taker: a full disk, a reader that is gone, an encoding without the letters. The sweep goes on."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.outputs import Output
from tests.support.paths import QUADRATIC
from tests.support.processes import LIMIT, environment

FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")


@pytest.fixture
def pipe() -> Iterator[int]:
    """The end to write to, of a pipe that nobody reads any more."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


def test_a_reader_that_is_gone_is_no_trouble(pipe: int) -> None:
    output = Output(pipe, needs_reader=False)
    with io.TextIOWrapper(io.BufferedWriter(output), write_through=True) as stream:
        for _ in range(3):
            print("a word", file=stream, flush=True)
    assert not output.lost
    assert os.write(pipe, b"what C code prints goes to nothing, too") > 0


def test_a_command_that_only_shows_ends_with_its_reader(pipe: int) -> None:
    with pytest.raises(BrokenPipeError):
        Output(pipe, needs_reader=True).write(b"a word")


@FULL
def test_a_full_disk_is_kept_in_mind() -> None:
    number = os.open("/dev/full", os.O_WRONLY)
    output = Output(number, needs_reader=True)
    assert [output.write(b"a word"), output.write(b"another")] == [6, 7]
    os.close(number)
    assert output.lost == os.strerror(28)


def sweep(
    folder: Path, *words: str, stdout: int = subprocess.PIPE, **variables: str
) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "orchestrator", *words]
    settings = {"cwd": folder, "env": {**environment(), **variables}, "timeout": LIMIT}
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, **settings)


@FULL
@pytest.mark.slow
def test_a_sweep_whose_output_is_lost_is_completed_and_shown_in_any_encoding(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        run = ("run", QUADRATIC, "--name", "lost", "--trials", "2", "--workers", "0")
        done = sweep(tmp_path, *run, stdout=full.fileno(), PYTHONIOENCODING="ascii")
        assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
        assert "standard output cannot be written (No space left on device)" in done.stderr
    shown = sweep(tmp_path, "show", "lost", PYTHONIOENCODING="ascii")
    assert shown.returncode == 0 and shown.stdout.isascii() and "? 0.2142" in shown.stdout
