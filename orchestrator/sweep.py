"""The supervisor of a sweep: ask → launch → hear → tell. It is the only writer to the book."""

import json
import os
import platform
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator import checkpoint
from orchestrator.book import Asked, Book, better
from orchestrator.launchers._protocol import Died, Job, Launcher
from orchestrator.launchers.local import LOG
from orchestrator.messages import Ended, Message, Outcome, Pulse, Report, Task
from orchestrator.tracking import Run, Status, Tracker

STATUS: dict[Outcome, Status] = {
    "complete": "FINISHED",
    "pruned": "KILLED",
    "diverged": "KILLED",
    "failed": "FAILED",
    "stopped": "KILLED",
}
TICK_SECONDS = 0.2
BATCH = 4  # trials that are asked, and told, together where a sweep is to be deterministic
GRACE_SECONDS = 10.0  # how long stopped workers have to write their checkpoints


@dataclass
class Running:
    """A trial that runs."""

    asked: Asked
    slot: int
    job: Job
    run: Run
    began: float  # time.monotonic()
    pulse: Pulse = field(default_factory=lambda: Pulse("start", 0, 0))
    values: tuple[float, ...] = ()


@dataclass
class View:
    """What a display shows."""

    name: str
    total: int
    objective: str
    counts: dict[str, int]
    running: dict[int, Running] = field(default_factory=dict)
    best: tuple[int, float] | None = None
    seconds_left: float | None = None
    ended: list[tuple[int, Ended, float]] = field(
        default_factory=list
    )  # trial, how, seconds: since this supervisor began
    halting: str = ""

    @property
    def finished(self) -> int:
        """Trials that count towards the total."""
        return sum(self.counts.values())


class Supervisor:
    """Drives one sweep until its total is reached, its time is up, or it is told to halt."""

    def __init__(
        self,
        book: Book,
        launcher: Launcher,
        tracker: Tracker,
        sweep_run: Run,
        threads: int = 1,
        checkpoint_seconds: float = 30.0,
    ) -> None:
        self.book, self.launcher, self.tracker, self.sweep_run = book, launcher, tracker, sweep_run
        self.threads, self.checkpoint_seconds = threads, checkpoint_seconds
        self.free = deque(range(launcher.slots))
        self.took: list[float] = []
        self.queue: deque[Asked] = deque()
        self.key, self.direction = book.spec.objectives[0]
        counts = {"complete": 0, "pruned": 0, "diverged": 0, "failed": 0}
        for trial in book.finished():
            counts[trial.user_attrs.get("outcome", "failed")] += 1
        best = book.best()
        self.view = View(book.spec.name, book.total(), self.key, counts)
        self.view.best = (best[0].number, best[0].values[0]) if best else None

    def drive(
        self, timeout: float | None, halt: Callable[[], str], show: Callable[[View], None] = lambda view: None
    ) -> str:
        """Returns why it ended: '' where the total is reached, 'timeout', or what ``halt`` said.

        After ``timeout`` seconds no trial is started any more; those that run go on to their end.
        """
        began, deadline = time.monotonic(), None
        self._adopt()
        running = self.view.running
        try:
            while True:
                reason = halt()
                if reason and deadline is None:
                    deadline, self.view.halting = time.monotonic() + GRACE_SECONDS, reason
                    for one in running.values():
                        one.job.stop()
                late = timeout is not None and time.monotonic() - began > timeout
                while self.free and not reason and not late and self._ask():
                    self._start(self.queue.popleft())
                if not running:
                    return reason or ("timeout" if late and (self.queue or self._wanted()) else "")
                self.launcher.wait([one.job for one in running.values()], TICK_SECONDS)
                for one in list(running.values()):
                    self._listen(one)
                if deadline is not None and time.monotonic() > deadline:
                    for one in list(running.values()):  # it goes on from the checkpoint that it has
                        one.job.kill()
                        self._end(one, Ended("stopped", one.values))
                self._estimate()
                show(self.view)
        finally:
            for one in running.values():
                one.job.kill()

    def _adopt(self) -> None:
        """Trials that an earlier supervisor left go on as themselves, before any other."""
        held = self.book.held()
        self.queue.extend(asked for asked in self.book.adopt() if asked.number not in held)
        for end, _ in held.values():
            self.view.counts[end.outcome] += 1
        if self.queue and self.book.spec.deterministic:
            self._fill()

    def _ask(self) -> bool:
        """Whether there is a trial in the queue, now or already.

        In a deterministic sweep trials are asked BATCH at a time, when all before have ended and are told in their
        order: so what the sampler and the pruner know does not depend on which worker was faster.
        """
        if self.book.spec.deterministic:
            if not self.queue and not self.view.running:
                for number, (end, seconds) in sorted(self.book.held().items()):
                    self.book.tell(number, end, seconds)
                self._fill()
        elif not self.queue and self._wanted():
            self.queue.append(self.book.ask())
        return bool(self.queue)

    def _wanted(self) -> bool:
        return self.view.finished + len(self.view.running) + len(self.queue) < self.view.total

    def _fill(self) -> None:
        """Ask what the batch lacks."""
        while self._wanted() and (not self.queue or (self.queue[-1].number + 1) % BATCH):
            self.queue.append(self.book.ask())

    def _start(self, asked: Asked) -> None:
        spec, slot = self.book.spec, self.free.popleft()
        folder = trial_folder(spec.folder, asked.number)
        folder.mkdir(parents=True, exist_ok=True)
        device = self.launcher.device(slot)
        if asked.run is None:
            # MLflow prints all parameters above each of a run's pictures, so only what varies is one: the rest is a file.
            params = {**asked.params, "seed": asked.seed, "data": spec.data}
            tags = {
                "sweep": spec.name,
                "study": spec.study,
                "trial": str(asked.number),
                "outcome": "running",
                "device": device,
                "host": f"{socket.gethostname()} ({platform.machine()}, {os.cpu_count()} cores)",
            }
            run = self.tracker.start(f"trial {asked.number}", params, tags, self.sweep_run.id)
            self.book.launched(asked.number, run.id)
            run.text("config.json", json.dumps(asked.config, indent=2))
        else:
            run = self.tracker.reopen(asked.run)
            run.tags({"outcome": "running"})
        task = Task(
            sweep=spec.name,
            study=spec.study,
            trial=asked.number,
            config=asked.config,
            data=spec.data,
            data_folder=spec.data_folder,
            cache_folder=spec.cache_folder,
            folder=str(folder),
            seed=asked.seed,
            device=device,
            threads=self.threads,
            tracking_uri=spec.tracking_uri,
            run=run.id,
            checkpoint_seconds=self.checkpoint_seconds,
        )
        job = self.launcher.launch(task)
        self.view.running[asked.number] = Running(asked, slot, job, run, time.monotonic())

    def _listen(self, one: Running) -> None:
        try:
            for message in one.job.hear():
                self._heard(one, message)
        except Died as error:
            self._end(one, Ended("failed", one.values, "Died", str(error)))

    def _heard(self, one: Running, message: Message) -> None:
        match message:
            case Pulse():
                one.pulse = message
            case Report():
                one.values = message.values
                prune = self.book.report(one.asked.number, message.index, message.values)
                # Every report gets its reply, for the worker waits: the stop that it was told before may be long heeded.
                one.job.reply("stop" if self.view.halting else "prune" if prune else "go")
            case Ended():
                self._end(one, message)

    def _end(self, one: Running, end: Ended) -> None:
        """First the run is closed, then the book is told, then the checkpoint goes: a death in between repeats, not loses."""
        number, seconds = one.asked.number, time.monotonic() - one.began
        del self.view.running[number]
        self.free.append(one.slot)
        folder = trial_folder(self.book.spec.folder, number)
        tags = {"outcome": end.outcome} | ({"reason": end.reason} if end.reason else {})
        if end.outcome in ("failed", "diverged"):
            one.run.describe(f"**{end.outcome}**: {end.reason}\n\n```\n{end.detail[-4000:]}\n```")
        if end.outcome == "failed" and (folder / LOG).exists() and (folder / LOG).stat().st_size:
            one.run.file(folder / LOG, "")
        one.run.end(STATUS[end.outcome], tags)
        self.view.ended.append((number, end, seconds))
        if end.outcome == "stopped":
            return
        if self.book.spec.deterministic:
            self.book.hold(number, end, seconds)
        else:
            self.book.tell(number, end, seconds)
        checkpoint.remove(folder)
        self.took.append(seconds)
        self.view.counts[end.outcome] += 1
        if end.outcome == "complete":
            value = end.values[0]
            if self.view.best is None or better(self.direction, value, self.view.best[1]):
                self.view.best = (number, value)
        if self.view.best is not None:
            self.sweep_run.scalars(self.view.finished, {f"best/{self.key}": self.view.best[1]})

    def _estimate(self) -> None:
        """Time left, from the mean of the trials that ended here."""
        if not self.took:
            return
        mean = sum(self.took) / len(self.took)
        now = time.monotonic()
        work = (self.view.total - self.view.finished) * mean
        work -= sum(min(mean, now - one.began) for one in self.view.running.values())
        self.view.seconds_left = max(0.0, work) / self.launcher.slots


def trial_folder(sweep_folder: str, number: int) -> Path:
    """Where a trial's files are."""
    return Path(sweep_folder) / f"trial-{number}"
