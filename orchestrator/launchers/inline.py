"""Trials one after another in this very process: for debugging and tests, where a breakpoint should just work."""

from collections.abc import Sequence

import torch

from orchestrator.launchers._protocol import Job
from orchestrator.messages import Ended, Message, Reply, Task
from orchestrator.tracking import Tracker
from orchestrator.trial import play


class InlineJob:
    """A trial that goes on, up to its next message, whenever it is listened to."""

    def __init__(self, task: Task, tracker: Tracker) -> None:
        self.events = play(task, tracker)
        self.started = False
        self.answer: Reply | None = None
        self.stopping = False

    def hear(self) -> list[Message]:
        """The next message; the trial runs meanwhile."""
        while True:
            reply, self.answer = ("stop" if self.stopping else self.answer), None
            message = self.events.send(reply if self.started else None)
            self.started = True
            if isinstance(message, Ended):
                self.events.close()
            if message is not None:
                return [message]

    def reply(self, reply: Reply) -> None:
        """Answer its last Report."""
        self.answer = reply

    def stop(self) -> None:
        """Ask it to leave at its next checkpoint."""
        self.stopping = True

    def kill(self) -> None:
        """End it where it is."""
        self.events.close()


class InlineLauncher:
    """One slot: this process."""

    slots = 1

    def __init__(self, tracker: Tracker, device: str = "cpu") -> None:
        self.tracker, self._device = tracker, device

    def device(self, slot: int) -> str:
        """The one device."""
        return self._device

    def launch(self, task: Task) -> InlineJob:
        """Prepare a trial; it runs when it is listened to."""
        torch.set_num_threads(task.threads)
        return InlineJob(task, self.tracker)

    def wait(self, jobs: Sequence[Job], seconds: float) -> None:
        """Never waits: listening is what makes the trial run."""

    def close(self) -> None:
        """Nothing is held."""
