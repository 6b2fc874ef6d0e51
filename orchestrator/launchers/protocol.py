"""What the supervisor expects of a launcher."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from orchestrator.devices import Resources
from orchestrator.launchers.memory import Held
from orchestrator.messages import Message, Reply, Task
from orchestrator.worker import lock, log


class Died(Exception):
    """A worker ended without saying so; the message tells how."""

    def __init__(self, how: str, out_of_memory: bool = False, lost: bool = False) -> None:
        """``out_of_memory``: the system ended it for want of memory. ``lost``: its machine is gone, which is not its fault."""
        super().__init__(how)
        self.out_of_memory, self.lost = out_of_memory, lost


class Job(Protocol):
    """A trial that runs somewhere."""

    def hear(self) -> list[Message]:
        """What it has said since; raises Died once a silent end is certain and everything before was heard."""

    def reply(self, reply: Reply) -> None:
        """Answer its last Report, or tell it unasked to stop or that it is pruned."""

    def processor_seconds(self) -> float | None:
        """Processor time that it has used so far, with all that it started; None where that cannot be told."""

    def memory(self) -> Held | None:
        """What it holds of this machine's memory; None where that cannot be told, or is another machine's."""
        return None

    def kill(self) -> None:
        """End it at once, with all that it started."""


class Launcher(Protocol):
    """A place where trials run, with a slot for each of some at a time.

    What is written here holds for every launcher whose workers share our file system; another one says it anew.
    """

    resources: Resources  # a device for each slot, and threads for each trial

    def __init__(self, resources: Resources, study: str) -> None:
        """Prepare for trials of ``study``, a name or a Python file. Returns at once; the place may still be starting."""

    def launch(self, task: Task) -> Job:
        """Start a trial; returns before it has begun."""

    def places(self, trials: int) -> int:
        """How many trials may run at a time by now: a cluster grows and shrinks. ``trials`` are left, with those that run."""
        return self.resources.slots

    def wait(self, jobs: Sequence[Job], seconds: float) -> None:
        """Return when a job has something to say, or after ``seconds``."""

    def close(self) -> None:
        """Give back what is held. Jobs must have ended."""

    def evict(self, folders: Iterable[Path], grace: float) -> None:
        """End the workers that an earlier supervisor left in these folders of trials, after ``grace`` seconds.

        UserError for a worker that cannot be ended from here.
        """
        lock.evict(folders, grace)

    def log(self, folder: Path) -> bytes:
        """The end of what the workers of the trial in ``folder`` have printed; b"" where they printed nothing."""
        return log.read(folder)
