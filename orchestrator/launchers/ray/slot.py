"""A slot of a cluster, and a trial that waits for one or is played in it: the supervisor's side of an actor."""

import math
import time
from pathlib import Path
from typing import Any

from orchestrator.files import CannotWrite
from orchestrator.launchers.protocol import Died, Job
from orchestrator.launchers.ray import mirror
from orchestrator.launchers.ray.agent import Parcel, Where
from orchestrator.launchers.ray.mirror import Target
from orchestrator.layout import MODEL
from orchestrator.messages import CANNOT_WRITE, WAITING, Ended, Message, Placed, Pulse, Reply, Task

KILL_SECONDS = 10.0  # that an actor may take to end a trial; then it is ended itself


class RayJob(Job):
    """A trial that waits for a slot, or is played in one."""

    def __init__(self, task: Task) -> None:
        self.task, self.since = task, time.monotonic()
        self.target = Target(Path(task.folder), {MODEL: task.model_dump_json(include={"study", "config"}).encode()})
        self.slot: Slot | None = None
        self.life = -1
        self.messages: list[Message] = [Pulse(WAITING, 0, 0)]
        self.early: Reply | None = None  # what it was told before it had a slot
        self.told_to_stop = False  # by the supervisor
        self.leaves = "its worker was told to leave by a signal"  # why it ends where nobody told it to stop
        self.processor: float | None = None
        self.end: Died | None = None
        self.broken = False  # its folder takes nothing more

    def hear(self) -> list[Message]:
        """See Job."""
        heard, self.messages = self.messages, []
        if self.end is not None and not heard:
            raise self.end
        return heard

    def reply(self, reply: Reply) -> None:
        """See Job."""
        self.told_to_stop |= reply == "stop"
        if self.slot is not None:
            self.slot.handle.reply.remote(self.life, reply)
        elif reply != "go":
            self.early = reply

    def processor_seconds(self) -> float | None:
        """See Job: as it was when it was last heard of."""
        return self.processor

    def kill(self) -> None:
        """See Job."""
        self.end = self.end or Died("it was ended")
        if self.slot is not None:
            self.slot.release(self)

    def take(self, parcel: Parcel, elsewhere: bool) -> None:
        """What it has said and written; raises CannotWrite. ``elsewhere``: where its node cannot write, others can."""
        if not self.broken:
            try:
                self.target.take(parcel.parts)
            except CannotWrite:
                self.broken = True
                self.messages += parcel.messages
                raise
        self.processor = parcel.processor if parcel.processor is not None else self.processor
        for message in parcel.messages:
            stopped = message if isinstance(message, Ended) and message.outcome == "stopped" else None
            if stopped and elsewhere and stopped.reason == CANNOT_WRITE:
                self.end = Died(f"on its node {stopped.detail}", lost=True)
            elif stopped and not stopped.reason and not self.told_to_stop:
                self.end = Died(self.leaves, lost=True)  # its machine is taken away, and its checkpoint has arrived
            else:
                self.messages.append(message)
        if parcel.died and not any(isinstance(message, Ended) for message in parcel.messages):
            self.end = Died(*parcel.died)


class Slot:
    """An actor: starting, idle, with a trial, or ending one."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.where: Where | None = None
        self.job: RayJob | None = None
        self.pending: Any = handle.ready.remote()  # what it is asked
        self.kill_before = math.inf
        self.leaving = False  # its node is being taken away
        self.rests_until = -math.inf  # its node could not write

    @property
    def idle(self) -> bool:
        """Whether it can take a trial now."""
        free = self.where is not None and self.job is None and self.pending is None
        return free and not self.leaving and time.monotonic() > self.rests_until

    def leave(self) -> None:
        """Have its trial leave with a checkpoint, and take no other."""
        assert self.where is not None
        self.leaving = True
        if self.job is not None:
            self.job.leaves = f"the node {self.where.node} is being taken away"
            self.handle.reply.remote(self.job.life, "stop")

    def play(self, job: RayJob, life: int, shipments: Any) -> None:
        """Have it play the trial; ``shipments`` is a reference to what it needs."""
        assert self.where is not None
        self.job, job.slot, job.life = job, self, life
        waited = time.monotonic() - job.since
        parts = mirror.of_earlier_lives(Path(job.task.folder))
        self.pending = self.handle.play.remote(life, job.task, parts, shipments, waited)
        job.messages.append(Placed(self.where.text))
        if job.early is not None:
            job.reply(job.early)

    def release(self, job: RayJob) -> None:
        """End the trial there; the slot is idle when it is gone."""
        if self.job is job:
            self.pending, self.job, job.slot = self.handle.kill.remote(job.life), None, None
            self.kill_before = time.monotonic() + KILL_SECONDS
