"""A trial's folder on a worker's node, and its copy in the supervisor's: what is new there travels in parts, checksummed.

Files that only grow (the outbox, the log) travel by what was added; every other file travels whole. A checkpoint names how
much of the outbox was written before it, so files that travel whole are read first and written last: what a checkpoint refers
to is always there before it.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator import files
from orchestrator.delivery import outbox
from orchestrator.delivery.outbox import Sent
from orchestrator.layout import CHECKPOINT, LOG, OUTBOX, PREVIOUS_CHECKPOINT, REFUSED, SENT, WORKER, WORKER_LOCK
from orchestrator.worker import log

STAYS = {WORKER, WORKER_LOCK, PREVIOUS_CHECKPOINT, f"{OUTBOX}/{SENT}", f"{OUTBOX}/{REFUSED}"}  # never travels
MOST = 64 * 2**20  # bytes of growing files in one parcel; the rest follows in the next


class Damaged(Exception):
    """What arrived is not what was sent."""


@dataclass(frozen=True)
class Added:
    """Bytes that were added to a file that only grows, from ``offset`` on."""

    name: str  # relative to the trial's folder
    offset: int
    content: bytes


@dataclass(frozen=True)
class Whole:
    """A file as it is, and its checksum."""

    name: str
    content: bytes
    digest: str


Part = Added | Whole


def whole(path: Path, name: str) -> Whole:
    """The file at ``path``; OSError where it cannot be read."""
    content = path.read_bytes()
    return Whole(name, content, checksum(content))


def checksum(content: bytes) -> str:
    """What tells whether all of it has arrived."""
    return hashlib.sha256(content).hexdigest()


class Source:
    """The folder on the worker's node, and what of it has been sent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lengths: dict[str, int] = {}  # of growing files, as far as they were sent
        self.stamps: dict[str, tuple[int, int, int]] = {}  # of files that travel whole, when they were sent

    def known(self) -> None:
        """What is there now is known to the supervisor."""
        for name, path in self._files():
            if _grows(name):
                self.lengths[name] = path.stat().st_size
            else:
                self.stamps[name] = _stamp(path)

    def news(self, limited: bool = True) -> list[Part]:
        """What is new since it was last asked, in the order in which it is to be written.

        Where that is ``limited``, growing files are sent up to MOST bytes, and whole files wait until all before them is sent.
        """
        present = sorted(self._files())
        wholes: list[Part] = []
        stamps: dict[str, tuple[int, int, int]] = {}
        for name, path in present:
            if _grows(name):
                continue
            try:
                stamp = _stamp(path)
                if self.stamps.get(name) != stamp:
                    wholes.append(whole(path, name))
                    stamps[name] = stamp
            except FileNotFoundError:  # a file that was written aside has just taken its name
                continue
        parts, all_sent = self._added(present, limited)
        if not all_sent:
            return parts
        self.stamps |= stamps
        return [*parts, *wholes]

    def _added(self, present: Iterable[tuple[str, Path]], limited: bool) -> tuple[list[Part], bool]:
        """What was added to growing files, and whether that is all of it."""
        parts: list[Part] = []
        left = MOST
        for name, path in present:
            if not _grows(name):
                continue
            size, offset = path.stat().st_size, self.lengths.get(name, 0)
            if size < offset:  # a log that has become too long, of which the end is kept
                offset = 0
            count = min(size - offset, left) if limited else size - offset
            if count:
                with path.open("rb") as file:
                    file.seek(offset)
                    content = file.read(count)
                parts.append(Added(name, offset, content))
                self.lengths[name] = offset + len(content)
                left -= len(content)
            if offset + count < size:
                return parts, False
        return parts, True

    def _files(self) -> Iterable[tuple[str, Path]]:
        for path in self.folder.rglob("*"):
            name = str(path.relative_to(self.folder))
            if name not in STAYS and not name.endswith((".part", ".lock")) and path.is_file():
                yield name, path


class Target:
    """The folder of a trial at the supervisor."""

    def __init__(self, folder: Path, own: Mapping[str, bytes] | None = None) -> None:
        """``own``: what is written of files that name paths of the node."""
        self.folder, self.own = folder, own or {}
        self.grown: set[Path] = set()  # files that were added to, and may not survive a crash of the machine yet

    def take(self, parts: Sequence[Part]) -> None:
        """Write what has come. Raises Damaged, or CannotWrite where the disk does not take it."""
        for part in parts:
            path = self._place(part.name)
            if isinstance(part, Added):
                self._add(path, part)
                self.grown.add(path)
                continue
            if checksum(part.content) != part.digest:
                raise Damaged(f"{part.name} of {self.folder.name} was damaged on its way")
            if part.name == CHECKPOINT:
                self._settle()
            previous = self.folder / PREVIOUS_CHECKPOINT if part.name == CHECKPOINT else None
            files.replace(path, self.own.get(part.name, part.content), keep=previous)

    def _place(self, name: str) -> Path:
        """Where a file is to be. A node may name none outside the trial's folder."""
        parts = Path(name).parts
        if not parts or Path(name).is_absolute() or ".." in parts or str(Path(name)) in STAYS:
            raise Damaged(f"a node sent a file by the name {name!r}, which is none of a trial's")
        path = self.folder / name
        try:
            path.parent.mkdir(exist_ok=True, parents=len(parts) > 2)
        except OSError as error:
            raise files.cannot_write(path.parent, error) from error
        return path

    def _add(self, path: Path, part: Added) -> None:
        try:
            if part.name == LOG:  # it goes on over several lives; lines of the outbox have their place
                with path.open("a+b") as file:
                    file.write(part.content)
                    file.flush()
                    log.cut(file.fileno())
                return
            with path.open("r+b" if path.exists() else "xb") as file:
                file.seek(part.offset)
                file.write(part.content)
        except OSError as error:
            raise files.cannot_write(path, error) from error

    def _settle(self) -> None:
        """Have what was added survive a crash of the machine."""
        for path in self.grown:
            with suppress(FileNotFoundError):  # delivered, and dropped
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        self.grown.clear()


def of_earlier_lives(folder: Path) -> list[Part]:
    """What a worker on another node needs of a trial that goes on: its checkpoints, and where its outbox stands.

    The outbox itself stays: the state of its delivery is written so that a checkpoint's position counts as there, and that
    the worker begins behind the last segment.
    """
    parts: list[Part] = []
    for name in (PREVIOUS_CHECKPOINT, CHECKPOINT):
        try:
            parts.append(whole(folder / name, name))
        except FileNotFoundError:
            continue
    before = outbox.sent(folder / OUTBOX)
    passed = before.passed | {before.segment: before.offset}
    last = before.segment
    for segment in outbox.segments(folder / OUTBOX):
        size = outbox.path_of(folder / OUTBOX, segment).stat().st_size
        passed[segment] = max(passed.get(segment, 0), size)
        last = max(last, segment)
    content = Sent(segment=last, offset=passed.get(last, 0), passed=passed).model_dump_json().encode()
    return [*parts, Whole(f"{OUTBOX}/{SENT}", content, checksum(content))]


def unpack(folder: Path, parts: Sequence[Part]) -> None:
    """Write what ``of_earlier_lives`` collected into a new folder; raises Damaged, or CannotWrite."""
    (folder / OUTBOX).mkdir(parents=True)
    for part in parts:
        if checksum(part.content) != (part.digest if isinstance(part, Whole) else ""):
            raise Damaged(f"{part.name} was damaged on its way to the node")
        files.replace(folder / part.name, part.content)


def _grows(name: str) -> bool:
    return name == LOG or name.startswith(f"{OUTBOX}/") and name.endswith(".jsonl")


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size
