"""The supervisor of a sweep: it asks the book for trials, launches, follows and closes them. Only it writes to the book."""

import time
from collections.abc import Callable
from dataclasses import replace
from queue import SimpleQueue

from orchestrator.delivery.courier import Courier
from orchestrator.delivery.outbox import Outbox
from orchestrator.files import CannotWrite
from orchestrator.launchers.protocol import Died, Launcher
from orchestrator.layout import trial_folder
from orchestrator.messages import CANNOT_WRITE, Ended, Message, Placed, Pulse, Report, Saved, Task
from orchestrator.search import home
from orchestrator.search.book import Book
from orchestrator.search.spec import better
from orchestrator.search.trials import OUTCOMES, PendingTrial
from orchestrator.stores.optuna_storage import UNWRITABLE, release, unwritable
from orchestrator.supervisor import commands
from orchestrator.supervisor.deaths import Deaths
from orchestrator.supervisor.limits import Limits
from orchestrator.supervisor.queue import Agenda
from orchestrator.supervisor.room import Room
from orchestrator.supervisor.slots import Slots
from orchestrator.supervisor.status import RunningTrial, SweepStatus, estimate, recent
from orchestrator.supervisor.steering import Steering
from orchestrator.tracking import descriptions, trial_record

TICK_SECONDS = 0.2
SHOW_SECONDS = 0.1  # between looks that its display may have at it
GRACE_SECONDS = 10.0  # how long stopped workers have to write their checkpoints
CHECK_SECONDS = 0.5  # between looks at requests and at workers that are silent
STALL_SECONDS = 2.0  # without a look, it was we who stood still: suspended, or starting a server


class Supervisor:
    """Drives one sweep until its total is reached, its time is up, or it is cancelled."""

    def __init__(self, book: Book, launcher: Launcher, courier: Courier, outbox: Outbox, limits: Limits) -> None:
        """``outbox`` is the sweep's own; ``courier`` delivers the trials'."""
        self.book, self.launcher, self.courier, self.outbox = book, launcher, courier, outbox
        self.limits = limits
        self.slots = Slots(launcher)
        self.took = recent()  # seconds of trials
        self.agenda = Agenda(book)
        self.places: dict[int, int] = {}  # the step of each running trial's last checkpoint
        self.deaths = Deaths(book, limits.deaths)
        self.runs: SimpleQueue[tuple[int, str]] = SimpleQueue()  # of trials, as the courier's thread learns them
        self.reason = ""  # why no trial is started any more
        self.cancelled = False  # and those that run are told to leave
        self.kill_deadline = float("inf")  # by then trials that were told to leave have left
        self.deadline = float("inf")  # after which no trial is started
        self.checked = 0.0  # when requests and workers were last looked at
        self.steering = Steering(self)
        self.key, self.direction = book.spec.objectives[0]
        counts: dict[str, int] = dict.fromkeys(OUTCOMES, 0)
        for trial in book.finished():
            counts[trial.outcome] += 1
        best = book.best()
        self.status = SweepStatus(book.spec.name, book.total(), self.key, counts, events=self.agenda.events)
        self.room = Room(self.agenda)
        self.status.best = (best[0].number, best[0].values[0]) if best else None

    # ---- the loop ----------------------------------------------------------------------------------------------------

    def drive(
        self,
        timeout: float | None,
        interrupted: Callable[[], str],
        show: Callable[[SweepStatus], None] = lambda status: None,
    ) -> str:
        """Returns why it ended: '' where the total is reached, 'timeout', 'stopped', what ``interrupted`` returned, or an error.

        After ``timeout`` seconds no trial is started any more; those that run go on to their end. Where the sweep cannot be
        written any more the reason is a sentence, trials that run have been told to leave, and nothing that was told is lost.
        Raises home.Moved, when they have left, where the sweep's folder was moved meanwhile.
        """
        shown = 0.0
        self.deadline = float("inf") if timeout is None else time.monotonic() + timeout
        try:
            for left, end in self.agenda.adopt(self.launcher):
                self.close(left, end)
            while not self._over():
                self._check(interrupted())
                self.slots.follow([trial.slot for trial in self.status.running.values()], self.agenda.left)
                while self.slots.free and self._accepting() and (pending := self.room.next(self.status.running)):
                    self._start(pending)
                self._receive()
                if time.monotonic() - shown > SHOW_SECONDS:
                    show(self.status)
                    shown = time.monotonic()
            show(self.status)
        except (CannotWrite, *UNWRITABLE) as error:
            self._abort(error)
        finally:
            for running in self.status.running.values():
                running.job.kill()
            release(self.book.optuna_study)
        self._check_there()
        late = time.monotonic() > self.deadline and self.agenda.open(0)
        return self.reason or ("timeout" if late else "")

    def _check_there(self) -> None:
        home.check_there(self.book.spec, self.book.address)

    def _over(self) -> bool:
        waits = self.status.running or self.status.state == "paused"
        return not waits and not (self._accepting() and self.agenda.open(0))

    def _accepting(self) -> bool:
        """Whether trials may be started."""
        return not self.reason and self.status.state == "running" and time.monotonic() <= self.deadline

    def _receive(self) -> None:
        running = self.status.running
        if not running:
            time.sleep(TICK_SECONDS if self.status.state == "paused" else 0)
            return
        self.launcher.wait([trial.job for trial in running.values()], TICK_SECONDS)
        for trial in list(running.values()):
            try:
                for message in trial.job.hear():
                    self._handle(trial, message)
            except Died as error:
                self._died(trial, error)
        if time.monotonic() > self.kill_deadline:
            for trial in list(running.values()):  # it goes on from the checkpoint that it has
                trial.job.kill()
                self._end(trial, Ended("stopped", trial.values))
        self.status.seconds_left = estimate(self.status, self.took, self.launcher.resources.slots)

    def _check(self, interrupted: str) -> None:
        """Look at whether its folder is there, what is asked of it, and whether its workers live."""
        self._check_there()
        if interrupted and not self.cancelled:
            self.cancel(interrupted)
        self._note_runs()
        now = time.monotonic()
        if now - self.checked < CHECK_SECONDS:
            return
        stood_still, self.checked = now - self.checked > STALL_SECONDS, now
        for key, request in commands.pending(self.book).items():
            answered = commands.execute(self.steering, request)
            commands.answer(self.book, key, answered)
            self.status.events.append(f"{request.do} by {request.by}: {answered.answer}")
        for trial in list(self.status.running.values()):
            if stood_still:  # what was said meanwhile is not heard yet
                trial.heard = now
            self.room.look(trial)
            late, silent = self.limits.late(trial, now), self.limits.silent(trial, now)
            if late or silent:
                trial.job.kill()
                if late:
                    self._end(trial, Ended("failed", trial.values, "TrialTimeout", late))
                else:
                    self._died(trial, Died(silent))
        self.status.undelivered = self.courier.trouble

    def _note_runs(self) -> None:
        """Keep the runs of trials in the book too, which outlives their folders: only this thread writes to it."""
        while not self.runs.empty():
            number, run = self.runs.get()
            self.book.launched(number, run)
            if number in self.status.running:
                trial = self.status.running[number]
                trial.pending = replace(trial.pending, run=run)

    # ---- the life of a trial -----------------------------------------------------------------------------------------

    def _start(self, trial: PendingTrial) -> None:
        spec = self.book.spec
        slot, device = self.slots.take()
        folder = trial_folder(spec.folder, trial.number)
        trial_record.begin(folder, spec, trial, self.book.label(trial), device)
        self.courier.serve(folder, lambda run: self.runs.put((trial.number, run)))
        task = Task(
            sweep=spec.name,
            study=spec.study_source,
            trial=trial.number,
            config=trial.config,
            data=spec.data,
            data_folder=spec.data_folder,
            cache_folder=spec.cache_folder,
            folder=str(folder),
            seed=trial.seed,
            device=device,
            threads=self.launcher.resources.threads,
            checkpoint_seconds=self.limits.checkpoint,
            checkpoints=spec.checkpoints_of(trial.number),
        )
        now = time.monotonic()
        job = self.launcher.launch(task)
        self.status.running[trial.number] = RunningTrial(trial, slot, job, now, now, device=device)

    def _handle(self, trial: RunningTrial, message: Message) -> None:
        trial.heard = time.monotonic()
        match message:
            case Pulse():
                trial.pulse = message
            case Placed():
                trial.placed(message.place)
            case Saved():
                self.places[trial.number] = message.step
            case Report():
                trial.values = message.values
                prune = self.book.report(trial.number, message.index, message.values)
                # Every report gets its reply, for the worker waits: an earlier reply may have been obeyed long ago.
                leaving = self.kill_deadline < float("inf") or self.status.state == "paused"
                trial.job.reply("stop" if leaving else "prune" if prune or trial.skipped else "go")
            case Ended():
                self._end(trial, message)

    def _died(self, trial: RunningTrial, death: Died) -> None:
        """A worker that died is followed by another, which goes on from the checkpoint, while there is hope."""
        place = self.places.get(trial.number, self.book.place(trial.number))
        if self.kill_deadline < float("inf"):
            return self._end(trial, Ended("stopped", trial.values))
        if end := self.deaths.count(trial, place, death):
            return self._end(trial, end)
        self.agenda.requeue(self._release(trial))
        self.status.events.append(f"trial {trial.number} goes on from step {place}: {death}")

    def _release(self, trial: RunningTrial) -> PendingTrial:
        """Free its slot; returns the trial as one that may be started again, in the MLflow run that it has by now."""
        self._note_runs()
        if stay := trial.stay():
            self.book.stayed(trial.number, stay)
        del self.status.running[trial.number]
        self.slots.give(trial.slot)
        return trial.pending

    def _end(self, trial: RunningTrial, end: Ended) -> None:
        trial.gpu_memory = end.gpu_memory
        pending = self._release(trial)
        if end.outcome == "pruned" and trial.skipped:
            end = replace(end, reason="skipped", detail="it was asked for")
        if end.reason == CANNOT_WRITE:
            return self.cancel(end.detail)
        if end.outcome == "stopped" and not self.cancelled:
            self.agenda.requeue(pending)
        elif end.outcome != "stopped":
            self.took.append(time.monotonic() - trial.began)
        self.close(pending, replace(end, seconds=end.seconds or time.monotonic() - trial.began))

    def close(self, trial: PendingTrial, end: Ended) -> None:
        """First the record is closed, then the book is told, then the files go: a death in between repeats, not loses."""
        number, folder = trial.number, trial_folder(self.book.spec.folder, trial.number)
        log = self.launcher.log(folder) if end.outcome == "failed" else b""
        trial_record.end(folder, self.book.spec, number, self.book.label(trial), end, log, self.book.study.fresh)
        self.courier.serve(folder)
        if end.outcome == "stopped":
            self.status.ended.append((number, end))
            return
        self._note_runs()
        self.agenda.ended(number, end)
        self.status.total = self.agenda.total
        self.status.ended.append((number, end))
        self.status.counts[end.outcome] += 1
        if end.outcome == "complete":
            value = end.values[0]
            if self.status.best is None or better(self.direction, value, self.status.best[1]):
                self.status.best = (number, value)
                self.outbox.note(descriptions.sweep(self.book, "Running."))
        if self.status.best is not None:
            self.outbox.numbers(self.status.finished, {f"best/{self.key}": self.status.best[1]})

    # ---- ending early ------------------------------------------------------------------------------------------------

    def stop_accepting(self, reason: str) -> None:
        """Start no trial any more; those that run go on to their end."""
        self.reason, self.status.state = reason, "stopping"

    def cancel(self, reason: str) -> None:
        """Have all running trials leave with a checkpoint, and start none."""
        self.cancelled, self.reason, self.status.state = True, reason, reason
        self.cancel_trials()

    def cancel_trials(self) -> None:
        """Have all running trials leave with a checkpoint; those that do not are ended after GRACE_SECONDS."""
        self.kill_deadline = time.monotonic() + GRACE_SECONDS
        for trial in self.status.running.values():
            trial.job.reply("stop")

    def _abort(self, error: Exception) -> None:
        """Nothing can be written any more: have the trials leave, which keep what they have, and record nothing of them."""
        self.reason = str(error) if isinstance(error, CannotWrite) else unwritable(error)
        self.cancel_trials()
        running = self.status.running
        while running and time.monotonic() < self.kill_deadline:
            self.launcher.wait([trial.job for trial in running.values()], TICK_SECONDS)
            for number, trial in list(running.items()):
                try:
                    messages = trial.job.hear()
                except Died:
                    del running[number]
                    continue
                if any(isinstance(message, Ended) for message in messages):
                    del running[number]
                elif any(isinstance(message, Report) for message in messages):
                    trial.job.reply("stop")
