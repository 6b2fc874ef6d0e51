"""One trial inside a worker: config → events → outbox, objective, checkpoint. Read this file first."""

import math
import time
import traceback
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import torch

import studies
from models.env import Env
from models.events import (
    Checkpoint,
    Compute,
    DataUsed,
    Diverged,
    Event,
    Facts,
    File,
    Images,
    PictureEvent,
    Progress,
    Scalars,
    Weights,
)
from orchestrator import files
from orchestrator.delivery import outbox
from orchestrator.delivery.outbox import Outbox, Position
from orchestrator.figures import canvas, events
from orchestrator.files import CannotWrite, TooManyOpenFiles
from orchestrator.layout import MODEL, SAMPLES, WEIGHTS
from orchestrator.messages import CANNOT_WRITE, Ended, Message, Outcome, Pulse, Reply, Report, Saved, Task
from orchestrator.worker import checkpoint, result
from studies.parts.study import Study

# Tags by which a trial and its place are known: a fact of the same name is recorded under another.
TAGS = (
    *("sweep", "study", "data", "trial", "outcome", "reason", "best", "device", "host", "deaths", "arm"),
    *("node", "waited"),  # of a cluster
)
PULSE_SECONDS = 0.5  # between words on how far it is, where they change
ALIVE_SECONDS = 5.0  # between signs of life, where nothing changes
FIRST_SAVE_SECONDS = 1.0  # until a worker's first checkpoint; the time doubles until it is what the task says
STOP_SECONDS = 3.0  # how long a stopped trial waits for the next checkpoint before it leaves with the one it has


class _Stop(Exception):
    """The supervisor wants this trial to leave, or is gone."""


class _Prune(Exception):
    """The supervisor has seen enough of this trial."""


def run_trial(task: Task) -> Generator[Message | None, Reply | None, None]:
    """Play a trial, yielding messages for the supervisor; None is yielded at every other event, to be replied to as well.

    What is sent in is the supervisor's reply: "stop" leaves at the next checkpoint, "prune" at once. The last message is
    always an Ended, whatever happens; one that is final is in the trial's folder before it is said.
    """
    with closing(run_trial_cooperative(task)) as trial, suppress(StopIteration):
        answer: Any = None
        while True:
            message = trial.send(answer)
            answer = message.function(message.rows) if isinstance(message, Compute) else (yield message)


def run_trial_cooperative(task: Task) -> Generator[Message | Compute | None, Any, None]:
    """The same for one of many: what its trainer wants computed is yielded as well, to be answered with the result."""
    player = _Player(task)
    try:
        end = yield from player.play()
        if end.outcome != "stopped":
            result.save(player.folder, end)
    except TooManyOpenFiles as error:  # this process's own trouble
        end = player.ended("failed", "TooManyOpenFiles", str(error))
    except CannotWrite as error:
        end = player.ended("stopped", CANNOT_WRITE, str(error))
    finally:
        player.outbox.close()
    yield end


class _Player:
    """The state of a trial while it is played."""

    def __init__(self, task: Task) -> None:
        self.task, self.folder = task, Path(task.folder)
        self.outbox = Outbox(self.folder)
        self.study: Study[Any, Any] = studies.load(task.study)
        self.values: tuple[float, ...] = ()
        self.groups = {objective.group for objective in self.study.objectives} | {self.study.fresh.partition("/")[0]}
        self.group_values: dict[str, float] = {}  # the last numbers of these groups
        self.reports = 0
        self.unanswered: list[Report] = []  # nobody may have heard of these, or what was thought of them is not known
        self.step = 0
        self.seconds: dict[str, float] = {}  # by stage, over all of the trial's lives
        self.stage, self.since = "start", time.monotonic()
        self.stopping: float | None = None
        self.pulse, self.last_pulse = Pulse("start", 0, 0), time.monotonic()
        self.last_save = time.monotonic()
        self.save_seconds = min(FIRST_SAVE_SECONDS, task.checkpoint_seconds)  # until the next checkpoint

    def ended(self, outcome: Outcome, reason: str = "", detail: str = "") -> Ended:
        self._enter(self.stage)
        seconds, beside = sum(self.seconds.values()), dict(self.group_values)
        return Ended(outcome, self.values, reason, detail, seconds, _gpu_memory(self.task.device), beside)

    def play(self) -> Generator[Message | Compute | None, Any, Ended]:
        """Every ending but that of a full disk is a value."""
        try:
            yield from self._events()
            if self.values:
                end = self.ended("complete")
            else:
                keys = ", ".join(objective.key for objective in self.study.objectives)
                end = self.ended("failed", "NoObjective", f"the trainer ended without ever reporting {keys}")
        except CannotWrite:
            raise
        except _Stop:
            end = self.ended("stopped")
        except _Prune:
            end = self.ended("pruned")
        except Diverged as error:
            end = self.ended("diverged", error.reason, str(error))
        except SystemExit as error:  # a trainer, or a library that it uses, wanted the program to end
            end = self.ended("failed", "SystemExit", f"sys.exit({error.code!r})\n{traceback.format_exc()}")
        except Exception as error:
            outcome: Outcome = "out_of_memory" if _lacks_memory(error) else "failed"
            end = self.ended(outcome, type(error).__name__, traceback.format_exc())
        self.outbox.numbers(self.step, {f"seconds/{stage}": seconds for stage, seconds in self.seconds.items()})
        return end

    def _events(self) -> Generator[Message | Compute | None, Any, None]:
        task = self.task
        env = Env(task.data, task.seed, task.device, Path(task.data_folder), Path(task.cache_folder))
        config = self.study.config.model_validate(task.config)
        saved = checkpoint.load(self.folder, self._usable, task.checkpoints)
        if saved is not None:
            self.reports, self.values = saved["reports"], tuple(saved["values"])
            self.step, self.seconds, self.group_values = (
                saved["step"],
                dict(saved["seconds"]),
                dict(saved.get("beside", {})),
            )
            self._heed((yield Saved(self.step)))
            if "pulse" in saved:  # where it is from now on: whoever hangs here hangs in this stage
                self.pulse = Pulse(*saved["pulse"])
                self._heed((yield self.pulse))
            for index, values, at in saved.get("unanswered", []):
                yield from self._say(Report(index, tuple(values), at))
        events = self.study.play(config, env, None if saved is None else saved["trainer"])
        answer: Any = None
        try:
            with suppress(StopIteration):
                while True:
                    event = events.send(answer)
                    answer = None
                    if isinstance(event, Compute):
                        answer = yield event
                    else:
                        yield from self._take(event)
        finally:
            events.close()

    def _usable(self, state: dict[str, Any]) -> bool:
        """What was said before the checkpoint is said no more, so it must still be there."""
        return outbox.holds(self.folder, Position(**state["outbox"]))

    def _take(self, event: Event) -> Generator[Message | None, Reply | None, None]:
        now = time.monotonic()
        message: Message | None = None
        if isinstance(event, Checkpoint):
            self.step = event.step
            if self.stopping is not None or now - self.last_save >= self.save_seconds:
                self._save(event)
                message = Saved(event.step)
        elif isinstance(event, Progress):
            if event.stage != self.stage:
                self._enter(event.stage)
                self.last_pulse = -math.inf
            self.pulse = Pulse(event.stage, event.done, event.total)
            if now - self.last_pulse >= PULSE_SECONDS or event.done == event.total:
                message = self.pulse
        else:
            self._record(event)
            message = self._read(event)
        if message is None and now - self.last_pulse >= ALIVE_SECONDS:
            message = self.pulse
        if isinstance(message, Pulse):
            self.last_pulse = now
        yield from self._say(message)
        if self.stopping is not None and (isinstance(message, Saved) or now - self.stopping > STOP_SECONDS):
            raise _Stop

    def _record(self, event: Event) -> None:
        match event:
            case Scalars():
                self.step = max(self.step, event.step)
                self.outbox.numbers(event.step, event.values)
                for key, value in event.values.items():
                    if key.partition("/")[0] in self.groups and math.isfinite(value):
                        self.group_values[key] = value
            case _ if isinstance(event, PictureEvent):
                png = canvas.png(events.draw(event))
                self.outbox.picture(event.key, event.step, png)
                if isinstance(event, Images) and event.key == self.study.pictures:
                    files.replace(self.folder / SAMPLES, png)
            case DataUsed():
                self.outbox.data(replace(event, name=self.task.data_named or event.name))
            case Facts():
                self.outbox.tags({_fact(name): str(value) for name, value in event.values.items()})
            case File():
                files.replace(self.folder / event.name, event.content)
                self.outbox.content(event.name, event.content)
            case Weights():
                from safetensors.torch import save

                tensors = {name: tensor.contiguous() for name, tensor in event.state.items()}
                files.replace(self.folder / MODEL, self.task.model_dump_json(include={"study", "config"}).encode())
                files.replace(self.folder / WEIGHTS, save(tensors))

    def _read(self, event: Event) -> Report | None:
        """The event as a report, where it holds all objectives."""
        read = [objective.read(event) for objective in self.study.objectives]
        values = tuple(value for value in read if value is not None)
        if len(values) < len(read):
            return None
        for objective, value in zip(self.study.objectives, values, strict=True):
            if not math.isfinite(value):
                raise Diverged("non_finite_objective", self.step, f"{objective.key} is {value}")
        self.values = values
        self.reports += 1
        return Report(self.reports, values, getattr(event, "step", self.step))

    def _say(self, message: Message | None) -> Generator[Message | None, Reply | None, None]:
        reply = yield message
        if isinstance(message, Report) and reply == "stop":
            self.unanswered.append(message)
        self._heed(reply)

    def _heed(self, reply: Reply | None) -> None:
        if reply == "prune":
            raise _Prune
        if reply == "stop" and self.stopping is None:
            self.stopping = time.monotonic()

    def _enter(self, stage: str) -> None:
        now = time.monotonic()
        self.seconds[self.stage] = self.seconds.get(self.stage, 0.0) + now - self.since
        self.stage, self.since = stage, now

    def _save(self, event: Checkpoint) -> None:
        self._enter(self.stage)
        state = {"reports": self.reports, "values": list(self.values), "step": event.step, "seconds": self.seconds}
        state["unanswered"] = [astuple(report) for report in self.unanswered]
        state["beside"] = self.group_values
        state["pulse"] = list(astuple(self.pulse))
        position = self.outbox.position().model_dump()  # what a resumed trial will not say again is safe first
        state |= {"outbox": position, "trainer": event.state()}
        checkpoint.save(self.folder, state, self.task.checkpoints)
        self.last_save = time.monotonic()
        self.save_seconds = min(2 * self.save_seconds, self.task.checkpoint_seconds)


def _fact(name: str) -> str:
    """The tag of a fact: another one than those by which trials are known."""
    return f"fact {name}" if name in TAGS or name.startswith(("mlflow.", "sweep.")) else name


def _gpu_memory(device: str) -> float:
    """See Ended."""
    if not device.startswith("cuda") or not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return 0.0
    return torch.cuda.max_memory_reserved(device) / torch.cuda.get_device_properties(device).total_memory


def _lacks_memory(error: Exception) -> bool:
    """Whether it is the memory, a GPU's or the machine's, that did not suffice; torch's CPU allocator has no error of its own."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and (
        "can't allocate memory" in str(error) or "not enough memory" in str(error)
    )
