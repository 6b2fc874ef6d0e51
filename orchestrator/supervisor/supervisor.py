"""The supervisor of a sweep: ask → launch → hear → tell. It is the only writer to the book."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

from orchestrator.delivery.courier import Courier
from orchestrator.delivery.outbox import Outbox
from orchestrator.files import CannotWrite
from orchestrator.launchers.protocol import Died, Launcher
from orchestrator.layout import trial_folder
from orchestrator.messages import CANNOT_WRITE, Ended, Message, Pulse, Report, Saved, Task
from orchestrator.search.book import Asked, Book, better
from orchestrator.stores.optuna_storage import UNWRITABLE, unwritable
from orchestrator.supervisor import commands as control
from orchestrator.supervisor.limits import Patience
from orchestrator.supervisor.queue import Agenda
from orchestrator.supervisor.status import Running, View, estimate
from orchestrator.text import counted
from orchestrator.tracking import descriptions
from orchestrator.tracking import trial_record as record

TICK_SECONDS = 0.2
SHOW_SECONDS = 0.1  # between looks that its display may have at it
GRACE_SECONDS = 10.0  # how long stopped workers have to write their checkpoints
LOOK_SECONDS = 0.5  # between looks at requests and at workers that are silent
STALL_SECONDS = 2.0  # without a look, it was we who stood still: suspended, or starting a server
STOPPED = "stopped"  # why a sweep ended that was asked to from another terminal


class Supervisor:
    """Drives one sweep until its total is reached, its time is up, or it is told to halt."""

    def __init__(
        self, book: Book, launcher: Launcher, courier: Courier, outbox: Outbox, threads: int, patience: Patience
    ) -> None:
        """``outbox`` is the sweep's own; ``courier`` delivers the trials'."""
        self.book, self.launcher, self.courier, self.outbox = book, launcher, courier, outbox
        self.threads, self.patience = threads, patience
        self.free = deque(range(launcher.slots))
        self.took: list[float] = []
        self.agenda = Agenda(book)
        self.places: dict[int, int] = {}  # the step of each running trial's last checkpoint
        self.runs: SimpleQueue[tuple[int, str]] = SimpleQueue()  # of trials, as the courier's thread learns them
        self.reason = ""  # why no trial is started any more
        self.halted = False  # and those that run are told to leave
        self.kill_at = self.deadline = float("inf")
        self.looked = 0.0
        self.key, self.direction = book.spec.objectives[0]
        counts: dict[str, int] = {outcome: 0 for outcome in record.STATUS if outcome != "stopped"}
        for trial in book.finished():
            counts[trial.user_attrs.get("outcome", "failed")] += 1
        best = book.best()
        self.view = View(book.spec.name, book.total(), self.key, counts, events=self.agenda.events)
        self.view.best = (best[0].number, best[0].values[0]) if best else None

    # ---- the loop ----------------------------------------------------------------------------------------------------

    def drive(
        self, timeout: float | None, halt: Callable[[], str], show: Callable[[View], None] = lambda view: None
    ) -> str:
        """Returns why it ended: '' where the total is reached, 'timeout', 'stopped', what ``halt`` said, or an error.

        After ``timeout`` seconds no trial is started any more; those that run go on to their end. Where the sweep cannot be
        written any more the reason is a sentence, trials that run have been told to leave, and nothing that was told is lost.
        """
        shown = 0.0
        if timeout is not None:
            self.deadline = time.monotonic() + timeout
        try:
            for number, end in self.agenda.adopt():
                self._close(number, end)
            while not self._over():
                self._look(halt())
                while self.free and self._starting() and (asked := self.agenda.next(len(self.view.running))):
                    self._start(asked)
                self._listen()
                if time.monotonic() - shown > SHOW_SECONDS:
                    show(self.view)
                    shown = time.monotonic()
            show(self.view)
        except (CannotWrite, *UNWRITABLE) as error:
            self._abandon(error)
        finally:
            for one in self.view.running.values():
                one.job.kill()
        late = time.monotonic() > self.deadline and self.agenda.open(0)
        return self.reason or ("timeout" if late else "")

    def _over(self) -> bool:
        if self.view.running or self.view.state == "paused":
            return False
        return not self._starting() or not self.agenda.open(0)

    def _starting(self) -> bool:
        """Whether trials may be started."""
        return not self.reason and self.view.state == "running" and time.monotonic() <= self.deadline

    def _listen(self) -> None:
        running = self.view.running
        if not running:
            time.sleep(TICK_SECONDS if self.view.state == "paused" else 0)
            return
        self.launcher.wait([one.job for one in running.values()], TICK_SECONDS)
        for one in list(running.values()):
            try:
                for message in one.job.hear():
                    self._heard(one, message)
            except Died as error:
                self._died(one, str(error), error.out_of_memory)
        if time.monotonic() > self.kill_at:
            for one in list(running.values()):  # it goes on from the checkpoint that it has
                one.job.kill()
                self._end(one, Ended("stopped", one.values))
        self.view.seconds_left = estimate(self.view, self.took, self.launcher.slots)

    def _look(self, halted: str) -> None:
        """At what is asked of the sweep, and whether its workers live."""
        if halted and not self.halted:
            self._leave(halted)
        self._note_runs()
        now = time.monotonic()
        if now - self.looked < LOOK_SECONDS:
            return
        stood_still, self.looked = now - self.looked > STALL_SECONDS, now
        for key, request in control.pending(self.book).items():
            text = control.obey(self, request)
            control.answer(self.book, key, request, text)
            self.view.events.append(f"{request.do} by {request.by}: {text}")
        for one in list(self.view.running.values()):
            if stood_still:  # what was said meanwhile is not heard yet
                one.heard = now
            late, silent = self.patience.late(one), self.patience.silent(one)
            if late or silent:
                one.job.kill()
                if late:
                    self._end(one, Ended("failed", one.values, "TrialTimeout", late))
                else:
                    self._died(one, silent)
        self.view.undelivered = self.courier.trouble

    def _note_runs(self) -> None:
        """Keep the runs of trials in the book too, which outlives their folders: only this thread writes to it."""
        while not self.runs.empty():
            number, run = self.runs.get()
            if number in self.book.live:
                self.book.launched(number, run)
            if number in self.view.running:
                self.view.running[number].asked = replace(self.view.running[number].asked, run=run)

    # ---- the life of a trial -----------------------------------------------------------------------------------------

    def _start(self, asked: Asked) -> None:
        spec, slot = self.book.spec, self.free.popleft()
        folder = trial_folder(spec.folder, asked.number)
        device = self.launcher.device(slot)
        record.begin(folder, spec, asked, self.book.label(self.book.live[asked.number]), device)
        self.courier.serve(folder, lambda run: self.runs.put((asked.number, run)))
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
            checkpoint_seconds=self.patience.checkpoint,
        )
        now = time.monotonic()
        self.view.running[asked.number] = Running(asked, slot, self.launcher.launch(task), now, now)

    def _heard(self, one: Running, message: Message) -> None:
        one.heard = time.monotonic()
        match message:
            case Pulse():
                one.pulse = message
            case Saved():
                self.places[one.asked.number] = message.step
            case Report():
                one.values = message.values
                prune = self.book.report(one.asked.number, message.index, message.values)
                # Every report gets its reply, for the worker waits: what it was told before may be long heeded.
                leaving = self.kill_at < float("inf") or self.view.state == "paused"
                one.job.reply("stop" if leaving else "prune" if prune or one.skipped else "go")
            case Ended():
                self._end(one, message)

    def _died(self, one: Running, how: str, out_of_memory: bool = False) -> None:
        """A worker that died is followed by another, which goes on from the checkpoint: up to three at the same place."""
        number = one.asked.number
        place = self.places.get(number, self.book.place(number))
        if self.kill_at < float("inf"):
            return self._end(one, Ended("stopped", one.values))
        if out_of_memory:
            return self._end(one, Ended("out_of_memory", one.values, "KilledForMemory", how))
        deaths = self.book.died(number, place, how)
        here = [death["how"] for death in deaths if death["at"] == place]
        if len(here) >= self.patience.deaths:
            return self._end(one, Ended("failed", one.values, "Died", f"{len(here)} times at step {place}: {here[-1]}"))
        self._release(one)
        self.agenda.requeue(one.asked)
        record.died(trial_folder(self.book.spec.folder, number), len(deaths))
        self.view.events.append(f"trial {number} goes on from step {place}: {how}")

    def _release(self, one: Running) -> None:
        self._note_runs()
        del self.view.running[one.asked.number]
        self.free.append(one.slot)

    def _end(self, one: Running, end: Ended) -> None:
        self._release(one)
        number = one.asked.number
        if end.outcome == "pruned" and one.skipped:
            end = replace(end, reason="skipped", detail="it was asked for")
        if end.reason == CANNOT_WRITE:
            return self._leave(end.detail)
        if end.outcome == "stopped" and not self.halted:
            self.agenda.requeue(one.asked)
        elif end.outcome != "stopped":
            self.took.append(time.monotonic() - one.began)
        self._close(number, replace(end, seconds=end.seconds or time.monotonic() - one.began))

    def _close(self, number: int, end: Ended) -> None:
        """First the record is closed, then the book is told, then the files go: a death in between repeats, not loses."""
        folder = trial_folder(self.book.spec.folder, number)
        record.end(folder, self.book.spec, number, self.book.label(self.book.live[number]), end)
        self.courier.serve(folder)
        if end.outcome == "stopped":
            self.view.ended.append((number, end))
            return
        self._note_runs()
        self.agenda.ended(number, end)
        self.view.total = self.agenda.total
        self.view.ended.append((number, end))
        self.view.counts[end.outcome] += 1
        if end.outcome == "complete":
            value = end.values[0]
            if self.view.best is None or better(self.direction, value, self.view.best[1]):
                self.view.best = (number, value)
                self.outbox.note(descriptions.sweep(self.book, "Running."))
        if self.view.best is not None:
            self.outbox.numbers(self.view.finished, {f"best/{self.key}": self.view.best[1]})

    # ---- leaving, and what is asked from elsewhere -------------------------------------------------------------------

    def _leave(self, reason: str) -> None:
        """Have all running trials leave with a checkpoint, and start none."""
        self.halted, self.reason, self.view.state = True, reason, reason
        self._stop_running()

    def _stop_running(self) -> None:
        self.kill_at = time.monotonic() + GRACE_SECONDS
        for one in self.view.running.values():
            one.job.reply("stop")

    def _abandon(self, error: Exception) -> None:
        """Nothing can be written down any more: have the trials leave, which keep what they have, and hear no more of them."""
        self.reason = str(error) if isinstance(error, CannotWrite) else unwritable(error)
        self._stop_running()
        running = self.view.running
        while running and time.monotonic() < self.kill_at:
            self.launcher.wait([one.job for one in running.values()], TICK_SECONDS)
            for number, one in list(running.items()):
                try:
                    said = one.job.hear()
                except Died:
                    del running[number]
                    continue
                if any(isinstance(message, Ended) for message in said):
                    del running[number]
                elif any(isinstance(message, Report) for message in said):
                    one.job.reply("stop")

    @property
    def state(self) -> str:
        """See control.Sweep."""
        return self.view.state

    def pause(self) -> str:
        """Have running trials leave with a checkpoint, until the sweep goes on."""
        self.view.state = "paused"
        self._stop_running()
        return f"{counted(len(self.view.running))} to leave with a checkpoint"

    def go_on(self) -> str:
        """End a pause."""
        self.view.state, self.kill_at = "running", float("inf")
        return f"{counted(len(self.agenda.queue))} to go on"

    def stop(self, now: bool) -> str:
        """Start no trial any more; those that run go on to their end, or leave ``now``."""
        count = len(self.view.running)
        if now:
            self._leave(STOPPED)
            return f"{counted(count)} to leave with a checkpoint"
        self.reason, self.view.state = STOPPED, "stopping"
        return f"no trial is started any more, {counted(count)} to be ended"

    def enqueue(self, params: Mapping[str, Any]) -> str:
        """Try a configuration next."""
        self.book.enqueue(params)
        more = self.agenda.wanted(len(self.view.running))
        return "it is tried next" if more else "it is tried when the sweep has a higher total: extend it"

    def skip(self, number: int) -> str:
        """Prune a trial."""
        if number in self.view.running:
            self.view.running[number].skipped = True
            self.view.running[number].job.reply("prune")
            return f"trial {number} is pruned"
        if self.agenda.withdraw(number):
            self._close(number, Ended("pruned", (), "skipped", "it was asked for"))
            return f"trial {number} is pruned"
        return f"trial {number} does not run"

    def extend(self, trials: int | None, timeout: float | None) -> str:
        """Give the sweep another total, or ``timeout`` seconds from now."""
        done = self.agenda.finished + len(self.view.running) + len(self.agenda.queue)
        if trials is not None and trials < done:
            return f"it has {done} trials already, so {trials} cannot be its total"
        if trials is not None:
            self.agenda.extend(trials)
            self.view.total = self.agenda.total
        if timeout is not None:
            self.deadline = time.monotonic() + timeout
        return " and ".join(
            ([f"its total is {self.view.total}"] if trials is not None else [])
            + ([f"trials are started for another {timeout:g} s"] if timeout is not None else [])
        )
