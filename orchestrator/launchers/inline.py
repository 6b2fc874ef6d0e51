"""Trials in this very process: one, for debugging, where a breakpoint should just work; or many that advance together.

What trials wish to have computed by the same function is computed in one call. That is made for trials that are cheap
beside the network that they share, such as samplers' settings on a frozen energy.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from models.events import Compute
from orchestrator.devices import Resources
from orchestrator.launchers.protocol import Job, Launcher
from orchestrator.messages import Ended, Message, Reply, Task
from orchestrator.worker.trial import run_trial_cooperative

ONE = Resources(("cpu",), 1)


class InlineJob(Job):
    """A trial that goes on, up to its next message or wish, whenever it is listened to."""

    def __init__(self, task: Task) -> None:
        self.events = run_trial_cooperative(task)
        self.started = False
        self.wish: Compute | None = None
        self.granted: tuple[Tensor, ...] | None = None
        self.answer: Reply | None = None

    def hear(self) -> list[Message]:
        """What it says next; nothing while it has a wish."""
        while True:
            message = self.events.send(self._due())
            self.started = True
            if isinstance(message, Compute):
                self.wish = message
            if isinstance(message, Ended):
                self.events.close()
            if message is not None:
                return [] if isinstance(message, Compute) else [message]

    def _due(self) -> Any:
        """What it waits for: what it wished for, or a reply."""
        if self.wish is not None:
            granted, self.wish, self.granted = self.granted, None, None
            return granted
        if not self.started:
            return None
        answer, self.answer = self.answer, None
        return answer

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


class InlineLauncher(Launcher):
    """Slots in this process, on the first of the devices. One trial computes at a time, with all threads."""

    def __init__(self, resources: Resources = ONE, study: str = "") -> None:
        self.resources = Resources(resources.devices[:1] * resources.slots, resources.threads)

    def launch(self, task: Task) -> InlineJob:
        """Prepare a trial; it runs when it is listened to."""
        torch.set_num_threads(task.threads)
        return InlineJob(task)

    def wait(self, jobs: Sequence[Job], seconds: float) -> None:
        """Never waits: what is wished for is granted, together."""
        waiting = [job for job in jobs if isinstance(job, InlineJob) and job.wish is not None]
        wishes = [job.wish for job in waiting if job.wish is not None]
        for job, result in zip(waiting, compute(wishes), strict=True):
            job.granted = result

    def close(self) -> None:
        """Nothing is held."""


def compute(wishes: Sequence[Compute]) -> list[tuple[Tensor, ...]]:
    """The result of each wish; those of one function are computed together, in calls of as many rows as they allow."""
    results: list[tuple[Tensor, ...]] = [()] * len(wishes)
    functions: dict[Callable[[Tensor], tuple[Tensor, ...]], list[int]] = {}
    for i, wish in enumerate(wishes):
        functions.setdefault(wish.function, []).append(i)
    for function, which in functions.items():
        rows = torch.cat([wishes[i].rows for i in which])
        most = min(wishes[i].most for i in which)
        parts = [function(part) for part in torch.split(rows, most)]
        whole = [torch.cat(column) for column in zip(*parts, strict=True)]
        sizes = [len(wishes[i].rows) for i in which]
        for i, mine in zip(which, zip(*(torch.split(column, sizes) for column in whole), strict=True), strict=True):
            results[i] = mine
    return results
