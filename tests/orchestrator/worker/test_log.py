"""What a worker prints is kept, and bounded."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.layout import LOG
from orchestrator.worker import log


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[int]:
    number = os.open(tmp_path / LOG, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    yield number
    os.close(number)


def test_a_log_that_grows_without_end_keeps_its_end(
    opened: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "LONGEST_BYTES", 1000)
    monkeypatch.setattr(log, "LOG_BYTES", 100)
    lines = [f"line {number}\n".encode() for number in range(200)]
    for line in lines:
        os.write(opened, line)
        log.cut(opened)
    os.write(opened, b"the last word\n")
    kept = (tmp_path / LOG).read_bytes()
    assert len(kept) <= 1000 and kept.startswith(log.CUT)
    assert kept.endswith(b"line 198\nline 199\nthe last word\n")
    whole = kept.removeprefix(log.CUT).splitlines(keepends=True)
    assert whole[:-1] == lines[-len(whole) + 1 :], "no line is torn and none is missing"


def test_a_log_of_the_usual_size_stays_as_it_is(opened: int, tmp_path: Path) -> None:
    os.write(opened, b"a word\n")
    log.cut(opened)
    assert log.read(tmp_path) == b"a word\n"
    assert log.read(tmp_path / "elsewhere") == b""


def test_a_log_of_a_progress_bar_which_has_no_lines_keeps_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "LONGEST_BYTES", 1000)
    monkeypatch.setattr(log, "LOG_BYTES", 100)
    file = tmp_path / "log.txt"
    file.write_bytes(b"\r".join(b"%d %%" % number for number in range(1000)))
    with file.open("a+b") as opened:
        log.cut(opened.fileno())
    assert file.read_bytes().endswith(b"998 %\r999 %") and file.stat().st_size == len(log.CUT) + 100
