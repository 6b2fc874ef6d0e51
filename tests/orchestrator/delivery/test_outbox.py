"""What an outbox keeps when the disk or the machine fails."""

import os
from io import FileIO
from pathlib import Path

import pytest

from orchestrator.delivery import outbox as outboxes
from orchestrator.delivery.delivery import Delivery
from orchestrator.delivery.memory import MemoryStore
from orchestrator.delivery.outbox import Outbox
from orchestrator.files import CannotWrite


class AlmostFull(FileIO):
    """Takes a few more bytes, and then nothing for one write: later there is room again."""

    room = 5
    writes = 0

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.writes += 1
        if self.writes == 2:
            raise OSError(28, "No space left on device")
        return super().write(data[: self.room] if self.writes == 1 else data)


def test_what_follows_half_a_line_is_not_glued_to_it(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    outbox.begin("key", "trial 0", {}, {})
    outbox.numbers(1, {"loss": 1.0})
    segment = outboxes.path_of(tmp_path / "outbox", 1)
    whole = segment.read_bytes()
    assert outbox.file is not None
    outbox.file.close()
    outbox.file = AlmostFull(segment, "ab")
    with pytest.raises(CannotWrite, match="No space left on device"):
        outbox.numbers(2, {"loss": 2.0})
    assert len(segment.read_bytes()) == len(whole) + AlmostFull.room, "half a line"
    outbox.numbers(3, {"loss": 3.0})
    outbox.end("FINISHED", {})
    store = MemoryStore()
    delivery = Delivery(tmp_path, store)
    delivery.drain()
    assert store.record("key").points == [(1, "loss", 1.0), (3, "loss", 3.0)]
    assert delivery.sent.refused == 0 and store.record("key").status == "FINISHED"


def test_a_position_is_told_when_its_entries_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint remembers the position: after a power cut it must not vouch for entries that are gone."""
    synced: list[tuple[int, int]] = []  # the file's inode, and its size when it was synced
    fsync = os.fsync

    def record(descriptor: int) -> None:
        fsync(descriptor)
        stat = os.fstat(descriptor)
        synced.append((stat.st_ino, stat.st_size))

    monkeypatch.setattr(os, "fsync", record)
    outbox = Outbox(tmp_path)
    assert outbox.position() == outboxes.Position(segment=0, offset=0) and not synced, "nothing is written yet"
    outbox.begin("key", "trial 0", {}, {})
    outbox.numbers(1, {"loss": 1.0})
    position = outbox.position()
    segment = outboxes.path_of(tmp_path / "outbox", position.segment).stat()
    assert (segment.st_ino, position.offset) in synced and segment.st_size == position.offset
    outbox.close()
