"""What other terminals ask of a running sweep, done: see commands.Sweep."""

import time
from collections.abc import Mapping
from typing import Any, Protocol

from orchestrator.errors import UserError
from orchestrator.messages import Ended
from orchestrator.search import steer
from orchestrator.search.book import Book
from orchestrator.search.trials import PendingTrial
from orchestrator.supervisor.queue import Agenda
from orchestrator.supervisor.status import SweepStatus
from orchestrator.text import counted

STOPPED = "stopped"  # why a sweep ended that was asked to from another terminal


class Steered(Protocol):
    """What commands need of a supervisor."""

    book: Book
    agenda: Agenda
    status: SweepStatus
    deadline: float  # no trial is started after it
    kill_deadline: float  # workers that have not left by then are killed

    def cancel(self, reason: str) -> None: ...

    def cancel_trials(self) -> None: ...

    def stop_accepting(self, reason: str) -> None: ...

    def close(self, trial: PendingTrial, end: Ended) -> None: ...


class Steering:
    """The commands of a supervisor. Each method does one, and returns what was done in a sentence, or raises UserError."""

    def __init__(self, supervisor: Steered) -> None:
        self.supervisor = supervisor

    @property
    def state(self) -> str:
        """See commands.Sweep."""
        return self.supervisor.status.state

    def pause(self) -> str:
        """Have running trials leave with a checkpoint, until the sweep is resumed."""
        self.supervisor.status.state = "paused"
        self.supervisor.cancel_trials()
        return f"{counted(len(self.supervisor.status.running))} to leave with a checkpoint"

    def resume(self) -> str:
        """End a pause."""
        self.supervisor.status.state, self.supervisor.kill_deadline = "running", float("inf")
        return f"{counted(len(self.supervisor.agenda.queue))} to go on"

    def stop(self, now: bool) -> str:
        """Start no trial any more. Those that run go on to their end, or leave ``now``."""
        count = len(self.supervisor.status.running)
        if now:
            self.supervisor.cancel(STOPPED)
            return f"{counted(count)} to leave with a checkpoint"
        self.supervisor.stop_accepting(STOPPED)
        return f"no trial is started any more, {counted(count)} to be ended"

    def enqueue(self, params: Mapping[str, Any]) -> str:
        """Try a configuration next."""
        already = steer.already(self.supervisor.book, params)
        self.supervisor.book.enqueue(params)
        more = self.supervisor.agenda.wanted(len(self.supervisor.status.running))
        return already + ("it is tried next" if more else "it is tried when the sweep has a higher total: extend it")

    def skip(self, number: int) -> str:
        """Prune a trial."""
        trial = self.supervisor.status.running.get(number)
        if trial is not None:
            trial.skipped = True
            trial.job.reply("prune")
            return f"trial {number} is pruned"
        pending = self.supervisor.agenda.withdraw(number)
        if pending is None:
            raise UserError(f"trial {number} does not run")
        self.supervisor.close(pending, Ended("pruned", (), "skipped", "it was asked for"))
        return f"trial {number} is pruned"

    def extend(self, trials: int | None, timeout: float | None) -> str:
        """Give the sweep another total, or ``timeout`` seconds from now."""
        agenda, status = self.supervisor.agenda, self.supervisor.status
        taken = agenda.finished + len(status.running) + len(agenda.queue)
        if trials is not None and trials < taken:
            raise UserError(f"it has {taken} trials already, so {trials} cannot be its total")
        done = []
        if trials is not None:
            agenda.extend(trials)
            status.total = agenda.total
            done.append(f"its total is {status.total}")
        if timeout is not None:
            self.supervisor.deadline = time.monotonic() + timeout
            done.append(f"trials are started for another {timeout:g} s")
        return " and ".join(done)
