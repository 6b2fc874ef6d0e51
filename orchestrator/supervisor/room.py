"""Whether there is memory for another trial beside those that run. What earlier ones have held is the measure."""

from collections.abc import Mapping

from orchestrator.launchers import memory
from orchestrator.search.trials import PendingTrial
from orchestrator.supervisor.queue import Agenda
from orchestrator.supervisor.status import RunningTrial
from orchestrator.text import gigabytes

MARGIN = 1.1  # times the most that a trial has held


class Room:
    """The memory of the machine on which the trials of a sweep run."""

    def __init__(self, agenda: Agenda) -> None:
        self.agenda, self.said = agenda, False
        self.most = max((trial.memory for trial in agenda.book.finished()), default=0)

    def look(self, trial: RunningTrial) -> None:
        """See how much memory a trial that runs holds."""
        if (held := trial.job.memory()) is not None:
            trial.held = memory.Held(held.now, max(held.most, trial.held.most))
            self.most = max(self.most, held.most)

    def next(self, running: Mapping[int, RunningTrial]) -> PendingTrial | None:
        """The trial to be started beside these, see Agenda; None where there is none, or no memory for it. One always runs.

        Those that run may still grow to the most that any trial has held.
        """
        if running and self.most:
            left = memory.free() - sum(max(0, self.most - trial.held.now) for trial in running.values())
            if left < MARGIN * self.most:
                self._say(len(running), max(0, left))
                return None
        return self.agenda.next(len(running))

    def _say(self, running: int, left: int) -> None:
        """Say, once, that trials wait for memory."""
        if not self.said and self.agenda.open(running):
            self.said = True
            self.agenda.events.append(
                f"a trial holds up to {gigabytes(self.most)} of memory, and {gigabytes(left)} are left: no more than "
                f"{running} at a time while that is so"
            )
