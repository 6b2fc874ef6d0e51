"""A tracker that keeps everything in memory: what the supervisor and the trials wrote can be looked at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models._events import Event, Scalars


@dataclass
class MemoryRun:
    """See orchestrator.tracking.Run."""

    id: str
    name: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    tags_: dict[str, str] = field(default_factory=dict)
    parent: str | None = None
    status: str = "RUNNING"
    points: list[tuple[int, str, float]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    description: str = ""

    def write(self, event: Event) -> None:
        if isinstance(event, Scalars):
            self.scalars(event.step, event.values)
        else:
            self.events.append(event)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self.points += [(step, key, value) for key, value in values.items()]

    def picture(self, name: str, picture: Any) -> None:
        self.files.append(name)

    def file(self, path: Path, folder: str) -> None:
        self.files.append(path.name)

    def text(self, name: str, text: str) -> None:
        self.files.append(name)

    def tags(self, values: Mapping[str, str]) -> None:
        self.tags_ |= values

    def describe(self, markdown: str) -> None:
        self.description = markdown

    def flush(self) -> None:
        pass

    def end(self, status: str, tags: Mapping[str, str]) -> None:
        self.status = status
        self.tags(tags)

    def champion(self, network: Any, shape: tuple[int, ...], name: str, tags: Mapping[str, str]) -> str:
        return f"models:/{name}@champion"


class MemoryTracker:
    """See orchestrator.tracking.Tracker."""

    def __init__(self) -> None:
        self.runs: dict[str, MemoryRun] = {}

    def start(self, name: str, params: Mapping[str, Any], tags: Mapping[str, str], parent: str | None) -> MemoryRun:
        run = MemoryRun(f"run{len(self.runs)}", name, dict(params), dict(tags), parent)
        self.runs[run.id] = run
        return run

    def resume(self, id: str) -> MemoryRun:
        return self.runs[id]

    def reopen(self, id: str) -> MemoryRun:
        self.runs[id].status = "RUNNING"
        return self.runs[id]
