"""A sweep whose workers answer at once: ``python -m benchmarks.cluster.simulated``, a line of JSON at each mark.

Supervisor, queue, book and Optuna's storage are the real ones, and so are the folders and outboxes of trials on disk. Not
there are training, processes of workers, and MLflow: the courier delivers to a store that takes everything and keeps nothing.
What is left is what the supervisor itself costs.
"""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import _trials
from orchestrator import launchers
from orchestrator.delivery.courier import Courier
from orchestrator.delivery.entries import Begin, Entry
from orchestrator.delivery.outbox import Outbox
from orchestrator.delivery.store import Found
from orchestrator.devices import Resources
from orchestrator.launchers.protocol import Job, Launcher
from orchestrator.messages import Ended, Message, Placed, Reply, Report, Task
from orchestrator.search import home, new_sweep, plan
from orchestrator.search.book import Book
from orchestrator.search.options import request
from orchestrator.stores import optuna_storage
from orchestrator.supervisor.limits import Limits
from orchestrator.supervisor.status import SweepStatus
from orchestrator.supervisor.supervisor import Supervisor

STUDY = Path(__file__).parents[1] / "speed" / "empty_study.py"
NAME = "simulated"
NODES = 16  # whose names trials say


@dataclass(frozen=True)
class Mark:
    """Where the sweep is after some trials."""

    trials: int
    seconds: float
    supervisor: float  # processor seconds of the supervisor's thread
    process: float  # and of all threads: the courier's too
    megabytes: float  # of memory that the process holds


class SimulatedJob(Job):
    """A trial that says its next report as soon as the last one is answered."""

    def __init__(self, task: Task, reports: int) -> None:
        self.value = (float(task.config["x"]) - 0.3) ** 2 + float(task.config["y"]) ** 2
        self.index, self.reports = 0, reports
        self.said: list[Message] = [Placed(f"node-{task.trial % NODES}")]
        self.reply("go")

    def hear(self) -> list[Message]:
        """See Job."""
        said, self.said = self.said, []
        return said

    def reply(self, reply: Reply) -> None:
        """See Job."""
        values = (self.value * (1 + 1 / (1 + self.index)),)
        if reply == "go" and self.index < self.reports:
            self.index += 1
            self.said.append(Report(self.index, values, self.index))
        else:
            outcome = {"go": "complete", "prune": "pruned", "stop": "stopped"}[reply]
            self.said.append(Ended(outcome, values, seconds=1.0))  # type: ignore[arg-type]

    def processor_seconds(self) -> float | None:
        """See Job."""
        return None

    def kill(self) -> None:
        """Nothing runs."""


class SimulatedLauncher(Launcher):
    """Starts nothing: jobs answer from here."""

    def __init__(self, resources: Resources, study: str, reports: int = 1) -> None:
        self.resources, self.reports = resources, reports

    def launch(self, task: Task) -> SimulatedJob:
        """See Launcher."""
        return SimulatedJob(task, self.reports)

    def wait(self, jobs: Sequence[Job], seconds: float) -> None:
        """All jobs have something to say."""

    def close(self) -> None:
        """Nothing is held."""


class Nowhere:
    """A store that takes everything and keeps nothing. See Store."""

    def begin(self, entry: Begin) -> Found:
        """See Store."""
        return Found(entry.key)

    def deliver(self, run: str, entries: Sequence[Entry]) -> None:
        """See Store."""


def new_book(url: str, trials: int, sampler: str, pruner: str) -> Book:
    """A new sweep of the empty study in this folder."""
    storage = optuna_storage.connect(url)
    asked = request(str(STUDY), name=NAME, trials=trials, sampler=sampler, pruner=pruner)
    book = new_sweep.create(storage, plan.resolve(asked, storage))
    Path(book.spec.folder).mkdir(parents=True)
    home.mark(book.spec)
    return book


class Marks:
    """Says how far the sweep is, when it has another ``every`` trials; the supervisor shows itself to it."""

    def __init__(self, every: int) -> None:
        self.every, self.next, self.began = every, 0, time.monotonic()

    def __call__(self, status: SweepStatus) -> None:
        if status.finished >= self.next or status.finished == status.total:
            self.next = status.finished - status.finished % self.every + self.every
            print(json.dumps(asdict(self.mark(status.finished))), flush=True)

    def mark(self, trials: int) -> Mark:
        """Where we are now."""
        pages = int(Path("/proc/self/statm").read_text().split()[1]) if sys.platform == "linux" else 0
        megabytes = pages * resource.getpagesize() / 1e6
        return Mark(trials, time.monotonic() - self.began, time.thread_time(), time.process_time(), megabytes)


def main() -> None:
    """Play such a sweep in this folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster.simulated")
    parser.add_argument("--ended", type=int, default=0, help="trials that it has already")
    parser.add_argument("--trials", type=int, default=1000, help="more trials")
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--reports", type=int, default=5, help="of each trial")
    parser.add_argument("--sampler", default="random")
    parser.add_argument("--pruner", default="none")
    parser.add_argument("--every", type=int, default=500, help="trials between marks")
    parser.add_argument("--url", default=f"sqlite:///{os.getcwd()}/sweeps.db", help="of Optuna's storage")
    options = parser.parse_args()
    total = options.ended + options.trials
    book = new_book(options.url, total, options.sampler, options.pruner)
    _trials.fill(optuna_storage.connect(options.url), book, options.ended)
    launchers.LAUNCHERS[NAME] = f"{SimulatedLauncher.__module__}:{SimulatedLauncher.__name__}"
    launcher = SimulatedLauncher(Resources(("cpu",) * options.workers, 1), book.spec.study_source, options.reports)
    courier, outbox = Courier(Nowhere()), Outbox(Path(book.spec.folder))
    outbox.begin(book.spec.id, book.spec.name, {}, {})
    reason = Supervisor(book, launcher, courier, outbox, Limits()).drive(None, lambda: "", Marks(options.every))
    if reason or len(book.finished()) != total:
        raise AssertionError(f"{len(book.finished())} of {total} trials, {reason or 'complete'}")
    courier.drain(60)
    courier.close()


if __name__ == "__main__":
    main()
