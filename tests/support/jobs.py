"""A job without a process, for what only looks at jobs."""

from dataclasses import dataclass

from orchestrator.messages import Message, Reply


@dataclass
class Worker:
    """A job that says nothing and has used some processor time."""

    used: float | None = 0.0

    def hear(self) -> list[Message]:
        return []

    def reply(self, reply: Reply) -> None: ...

    def processor_seconds(self) -> float | None:
        return self.used

    def kill(self) -> None: ...
