"""The record of a trial or of a sweep, on disk first: what was said is kept there until a courier has delivered it.

An outbox is a folder of segments, text files with one entry a line. Whoever writes begins a segment of its own, so a file
that was cut costs the rest of that file and nothing after it.

Within a record the steps of a key only increase. That makes delivery exact: what a trial says again, when it goes on from
a checkpoint, is known by its step and passed over.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from models.events import DataUsed
from orchestrator.delivery.entries import (
    ENTRY,
    Begin,
    Data,
    End,
    Entry,
    File,
    Note,
    Numbers,
    Picture,
    Select,
    Status,
    Tags,
)
from orchestrator.files import cannot_write, replace
from orchestrator.layout import OUTBOX, REFUSED, SENT

_BEGINS_OR_ENDS = re.compile(rb'\{"at":\d+,"do":"(begin|end)"')


class Sent(BaseModel):
    """What has been delivered of an outbox: everything before ``offset`` in ``segment``."""

    run: str = ""  # id of the record, once there is one
    segment: int = 0
    offset: int = 0
    passed: dict[int, int] = {}  # how far earlier segments were delivered: one that was cut has not been to its end
    closed: bool = False  # whether the last entry of the segment was an End
    steps: dict[str, int] = {}  # the last step of every key
    refused: int = 0  # entries that will never be taken, kept in refused.jsonl
    reason: str = ""  # of the last refusal
    gone: bool = False  # whether some were refused because the record was not there

    def select(self, run: str) -> None:
        """Go on in another record, of whose steps nothing is known."""
        if run != self.run:
            self.run, self.steps = run, {}


class Position(BaseModel, frozen=True):
    """A place in an outbox: a checkpoint remembers it."""

    segment: int
    offset: int


class Outbox:
    """Where one process writes a record. Its file is made by the first entry."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is the trial's or the sweep's."""
        self.folder = folder / OUTBOX
        self.file: FileIO | None = None
        self.segment, self.offset = 0, 0
        self.steps: dict[str, int] = {}

    def begin(
        self,
        key: str,
        name: str,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        parent: str | None = None,
        run: str | None = None,
    ) -> None:
        """Begin the record, or open it again."""
        texts = {name: str(value) for name, value in params.items()}
        self.add(Begin(key=key, name=name, params=texts, tags=dict(tags), parent=parent, run=run))

    def select(self, run: str) -> None:
        """Add what follows to the record ``run``, whoever made it."""
        self.add(Select(run=run))

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Record numbers; ValueError where a key's steps do not increase."""
        for key in values:
            self._increases(key, step)
        self.add(Numbers(step=step, values=dict(values)))

    def picture(self, key: str, step: int, png: bytes) -> None:
        """Record a picture that plays over steps; ValueError where its steps do not increase."""
        self._increases(of_picture(key), step)
        self.add(Picture(step=step, key=key, png=png))

    def content(self, path: str, content: bytes) -> None:
        """Keep ``content`` as a file."""
        self.add(File(path=path, content=content))

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""
        self.add(Tags(values=dict(values)))

    def note(self, markdown: str) -> None:
        """Set the description."""
        self.add(Note(markdown=markdown))

    def data(self, used: DataUsed) -> None:
        """Record what data were read."""
        self.add(Data(name=used.name, source=used.source, digest=used.digest, sizes=dict(used.sizes)))

    def add(self, entry: Entry) -> None:
        """Write an entry; CannotWrite where the disk does not take it."""
        line = entry.model_dump_json().encode() + b"\n"
        try:
            if self.file is None:
                for place in (self.folder.parent, self.folder):  # not what they are in: that may have been moved
                    place.mkdir(exist_ok=True)
                self.segment, self.offset = _last(self.folder) + 1, 0
                self.file = path_of(self.folder, self.segment).open("xb", buffering=0)
            written = 0
            while written < len(line):  # where there is room for a part of it, the rest raises
                written += self.file.write(line[written:])
        except OSError as error:
            self.close()  # what follows goes into a new segment, not behind half a line
            raise cannot_write(self.folder, error) from error
        self.offset += len(line)

    def end(self, status: Status | None, tags: Mapping[str, str], name: str = "") -> None:
        """Close the record with ``status``, or leave it as it is with None; and close the file."""
        self.add(End(status=status, tags=dict(tags), name=name))
        self.close()

    def position(self) -> Position:
        """The end of what has been written, once it would survive a crash of the machine."""
        if self.file is not None:
            os.fsync(self.file.fileno())
        return Position(segment=self.segment, offset=self.offset)

    def close(self) -> None:
        """Write no more into this file."""
        if self.file is not None:
            self.file.close()
            self.file = None

    def _increases(self, key: str, step: int) -> None:
        if step <= self.steps.get(key, step - 1):
            raise ValueError(
                f"{key} was said at step {step} after step {self.steps[key]}: the steps of a key only increase"
            )
        self.steps[key] = step


def of_picture(key: str) -> str:
    """What the steps of a picture are counted under, apart from those of numbers."""
    return f"picture {key}"


def path_of(folder: Path, segment: int) -> Path:
    """The file of a segment, in the outbox at ``folder``."""
    return folder / f"{segment:06}.jsonl"


def segments(folder: Path) -> list[int]:
    """The segments in the outbox at ``folder``, in their order."""
    return sorted(int(path.stem) for path in folder.glob("*.jsonl") if path.stem.isdecimal() and path.is_file())


def sent(folder: Path) -> Sent:
    """What has been delivered of the outbox at ``folder``."""
    try:
        return Sent.model_validate_json((folder / SENT).read_bytes())
    except (OSError, ValueError):
        return Sent()


def refused(folder: Path) -> list[Entry]:
    """The entries of the outbox at ``folder`` that were refused, as far as they can be read."""
    return _read(folder / REFUSED, 0, 10**9)[0]


def holds(folder: Path, position: Position) -> bool:
    """Whether the outbox of a trial's ``folder`` still has all that was written before ``position``, or delivered it."""
    delivered = sent(folder / OUTBOX)
    reached = delivered.passed | {delivered.segment: delivered.offset}
    if reached.get(position.segment, 0) >= position.offset:
        return True
    path = path_of(folder / OUTBOX, position.segment)
    return path.exists() and path.stat().st_size >= position.offset


def undelivered(folder: Path) -> bytes:
    """The whole lines of a trial's outbox that are not known to be delivered, without those that begin or end its record."""
    known, lines = sent(folder / OUTBOX), list[bytes]()
    for segment in segments(folder / OUTBOX):
        with suppress(FileNotFoundError), path_of(folder / OUTBOX, segment).open("rb") as file:  # just delivered
            if segment >= known.segment:
                file.seek(known.offset if segment == known.segment else 0)
                lines += [line for line in file if line.endswith(b"\n") and not _BEGINS_OR_ENDS.match(line)]
    return b"".join(lines)


def restore(folder: Path, lines: bytes) -> None:
    """Add lines that ``undelivered`` returned, on a machine that does not have them; CannotWrite where that fails."""
    if lines:
        (folder / OUTBOX).mkdir(parents=True, exist_ok=True)
        replace(path_of(folder / OUTBOX, _last(folder / OUTBOX) + 1), lines)


def run_id(folder: Path) -> str:
    """The id of the record of a trial's ``folder``; '' where none is known."""
    return sent(folder / OUTBOX).run


def read(folder: Path, segment: int, offset: int, most: int) -> tuple[list[Entry], int, int]:
    """Up to ``most`` whole entries from ``offset``, the offset behind them, and how many lines there could not be read."""
    return _read(path_of(folder, segment), offset, most)


def _read(path: Path, offset: int, most: int) -> tuple[list[Entry], int, int]:
    entries, damaged = list[Entry](), 0
    try:
        with path.open("rb") as file:
            file.seek(offset)
            while len(entries) < most:
                line = file.readline()
                if not line.endswith(b"\n"):
                    break
                offset += len(line)
                try:
                    entries.append(ENTRY.validate_json(line))
                except ValueError:
                    damaged += 1
    except FileNotFoundError:
        pass
    return entries, offset, damaged


def _last(folder: Path) -> int:
    return max([sent(folder).segment, *(int(path.stem) for path in folder.glob("*.jsonl") if path.stem.isdecimal())])
