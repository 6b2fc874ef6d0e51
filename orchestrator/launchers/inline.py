"""Trials one after another in this very process: for debugging and tests, where a breakpoint should just work."""

from collections.abc import Sequence

import torch

from orchestrator.launchers._protocol import Job
from orchestrator.messages import Ended, Message, Reply, Task
from orchestrator.trial import play


class InlineJob:
    """A trial that goes on, up to its next message, whenever it is listened to."""

    def __init__(self, task: Task) -> None:
        self.events = play(task)
        self.started = False
        self.answer: Reply | None = None

    def hear(self) -> list[Message]:
        """The next message; the trial runs meanwhile."""
        while True:
            if self.started:
                reply, self.answer = self.answer, None
                message = self.events.send(reply)
            else:
                message, self.started = next(self.events), True
            if isinstance(message, Ended):
                self.events.close()
            if message is not None:
                return [message]

    def reply(self, reply: Reply) -> None:
        """See Job. A "go" takes back nothing that was said unasked."""
        if self.answer in (None, "go"):
            self.answer = reply

    def processor_seconds(self) -> float | None:
        """Its time is not to be told from our own."""
        return None

    def kill(self) -> None:
        """End it where it is."""
        self.events.close()


class InlineLauncher:
    """One slot: this process."""

    slots = 1

    def __init__(self, device: str = "cpu") -> None:
        self._device = device

    def device(self, slot: int) -> str:
        """The one device."""
        return self._device

    def launch(self, task: Task) -> InlineJob:
        """Prepare a trial; it runs when it is listened to."""
        torch.set_num_threads(task.threads)
        return InlineJob(task)

    def wait(self, jobs: Sequence[Job], seconds: float) -> None:
        """Never waits: listening is what makes the trial run."""

    def close(self) -> None:
        """Nothing is held."""
