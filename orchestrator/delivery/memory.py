"""A store in memory, for tests of what you build on outboxes: it behaves as MLflow does, and needs no server and no disk.

    store = MemoryStore()
    outbox = Outbox(folder)
    outbox.begin("key", "trial 0", {"learning_rate": 0.1}, {"sweep": "toy"})
    outbox.numbers(1, {"loss": 0.5})
    outbox.end("FINISHED", {})
    deliver_now(folder, store)
    assert store.record("key").points == [(1, "loss", 0.5)]

Set ``store.away`` to see what happens while no server answers; ``store.delete(run)`` is what a user may do to a run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.delivery.entries import Begin, Data, End, Entry, File, Note, Numbers, Picture, Tags
from orchestrator.delivery.outbox import of_picture
from orchestrator.delivery.store import Found, Refused


@dataclass
class Record:
    """All that was delivered of one trial, sweep or arm."""

    id: str
    key: str
    name: str
    parent: str | None
    tags: dict[str, str]
    params: dict[str, str] = field(default_factory=dict)
    status: str = "RUNNING"
    deleted: bool = False
    points: list[tuple[int, str, float]] = field(default_factory=list)  # step, key, value
    pictures: list[tuple[int, str]] = field(default_factory=list)  # step, key
    pngs: dict[tuple[int, str], bytes] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    data: list[Data] = field(default_factory=list)
    description: str = ""
    arrived: set[tuple[str, int, int]] = field(default_factory=set)  # key, step and time of each point

    def steps(self) -> dict[str, int]:
        """The last step of every key: see Found."""
        steps = [(step, key) for step, key, _ in self.points]
        steps += [(step, of_picture(key)) for step, key in self.pictures]
        return {key: step for step, key in sorted(steps)}


class MemoryStore:
    """See Store. Records are kept by their ids, in the order in which they were made."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.away = False  # while it is set, every call raises ConnectionError

    def begin(self, entry: Begin) -> Found:
        """See Store."""
        self._reach()
        run = entry.run or self._find(entry.key)
        if run is None:
            run = f"run{len(self.records)}"
            self.records[run] = Record(run, entry.key, entry.name, entry.parent, dict(entry.tags))
            return Found(run)
        record = self._active(run)
        record.status, record.name = "RUNNING", entry.name
        record.tags |= entry.tags
        return Found(run, record.steps())

    def deliver(self, run: str, entries: Sequence[Entry]) -> None:
        """See Store."""
        self._reach()
        record = self._active(run)
        for entry in entries:
            self._add(record, entry)

    def record(self, key: str) -> Record:
        """The record with this key; KeyError where none is active."""
        run = self._find(key)
        if run is None:
            raise KeyError(key)
        return self.records[run]

    def delete(self, run: str) -> None:
        """Delete a record, as a user may in MLflow: from now on it takes nothing, and a new one is made for its key."""
        self.records[run].deleted = True

    def _add(self, record: Record, entry: Entry) -> None:
        match entry:
            case Begin():
                record.params |= entry.params
            case Numbers():
                for key, value in entry.values.items():
                    if (key, entry.step, entry.at) not in record.arrived:
                        record.arrived.add((key, entry.step, entry.at))
                        record.points.append((entry.step, key, value))
            case Picture():
                if (entry.step, entry.key) not in record.pngs:
                    record.pictures.append((entry.step, entry.key))
                record.pngs[entry.step, entry.key] = entry.png
            case File():
                record.files[entry.path] = entry.content
            case Tags():
                record.tags |= entry.values
            case Note():
                record.description = entry.markdown
            case Data():
                record.data += [] if entry in record.data else [entry]
            case End():
                record.status, record.name = entry.status or record.status, entry.name or record.name
                record.tags |= entry.tags

    def _find(self, key: str) -> str | None:
        return next((run for run, record in self.records.items() if record.key == key and not record.deleted), None)

    def _active(self, run: str) -> Record:
        record = self.records.get(run)
        if record is None or record.deleted:
            raise Refused(f"run {run} is not active", record=True)
        return record

    def _reach(self) -> None:
        if self.away:
            raise ConnectionError("nobody answers")
