"""What the supervisor expects of a launcher."""

from collections.abc import Sequence
from typing import Protocol

from orchestrator.messages import Message, Reply, Task


class Died(Exception):
    """A worker ended without saying so; the message tells how."""

    def __init__(self, how: str, out_of_memory: bool = False) -> None:
        """``out_of_memory`` tells that the system ended it for want of memory."""
        super().__init__(how)
        self.out_of_memory = out_of_memory


class Job(Protocol):
    """A trial that runs somewhere."""

    def hear(self) -> list[Message]:
        """What it has said since; raises Died once a silent end is certain and everything before was heard."""

    def reply(self, reply: Reply) -> None:
        """Answer its last Report, or tell it unasked to stop or that it is pruned."""

    def processor_seconds(self) -> float | None:
        """Processor time that it has used so far, with all that it started; None where that cannot be told."""

    def kill(self) -> None:
        """End it at once, with all that it started."""


class Launcher(Protocol):
    """A place with room for some trials at a time."""

    slots: int

    def device(self, slot: int) -> str:
        """The torch device of a slot."""

    def launch(self, task: Task) -> Job:
        """Start a trial; returns before it has begun."""

    def wait(self, jobs: Sequence[Job], seconds: float) -> None:
        """Return when a job has something to say, or after ``seconds``."""

    def close(self) -> None:
        """Give back what is held. Jobs must have ended."""
