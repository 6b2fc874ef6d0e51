"""A job without a process, for what only looks at jobs."""

from dataclasses import dataclass

from orchestrator.launchers.memory import Held
from orchestrator.messages import Message, Reply


@dataclass
class Worker:
    """A job that says nothing and has used some processor time."""

    used: float | None = 0.0
    held: Held | None = None

    def hear(self) -> list[Message]:
        return []

    def reply(self, reply: Reply) -> None: ...

    def processor_seconds(self) -> float | None:
        return self.used

    def memory(self) -> Held | None:
        return self.held

    def kill(self) -> None: ...
