"""A tracker that keeps everything in memory: what was delivered can be looked at, and it can be out of reach."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.delivery.courier import Found
from orchestrator.delivery.outbox import Begin, End, Entry, File, Note, Numbers, Picture, Tags, of_picture


@dataclass
class Record:
    """What arrived of a trial or of a sweep."""

    id: str
    key: str
    name: str
    parent: str | None
    params: dict[str, str]
    tags: dict[str, str]
    status: str = "RUNNING"
    points: list[tuple[int, str, float]] = field(default_factory=list)
    pictures: list[tuple[int, str]] = field(default_factory=list)
    pngs: dict[tuple[int, str], bytes] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    description: str = ""

    def steps(self) -> dict[str, int]:
        """See orchestrator.delivery.courier.Found."""
        said = [(key, step) for step, key, _ in self.points] + [(of_picture(key), step) for step, key in self.pictures]
        return dict(sorted(said, key=lambda one: one[1]))


class MemoryStore:
    """See orchestrator.delivery.courier.Store."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.away = False  # out of reach

    def begin(self, entry: Begin) -> Found:
        self._reach()
        for record in self.records.values():
            if record.key == entry.key:
                record.status = "RUNNING"
                record.tags |= entry.tags
                return Found(record.id, record.steps())
        record = Record(
            f"run{len(self.records)}", entry.key, entry.name, entry.parent, dict(entry.params), dict(entry.tags)
        )
        self.records[record.id] = record
        return Found(record.id)

    def deliver(self, run: str, entries: Sequence[Entry]) -> None:
        self._reach()
        record = self.records[run]
        for entry in entries:
            match entry:
                case Numbers():
                    record.points += [(entry.step, key, value) for key, value in entry.values.items()]
                case Picture():
                    record.pictures.append((entry.step, entry.key))
                    record.pngs[entry.step, entry.key] = entry.png
                case File():
                    record.files[entry.path] = entry.content
                case Tags():
                    record.tags |= entry.values
                case Note():
                    record.description = entry.markdown
                case End():
                    record.status = entry.status
                    record.name = entry.name or record.name
                    record.tags |= entry.tags

    def _reach(self) -> None:
        if self.away:
            raise ConnectionError("nobody answers")
