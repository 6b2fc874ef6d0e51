"""One trial inside a worker: config → events → tracker, objective, checkpoint. Read this file first."""

import math
import time
import traceback
from collections.abc import Generator
from pathlib import Path
from typing import Any

import studies
from models._env import Env
from models._events import Checkpoint, Diverged, Event, Images, Progress, Weights
from orchestrator import checkpoint, figures
from orchestrator.messages import Ended, Message, Outcome, Pulse, Reply, Report, Task
from orchestrator.tracking import Run, Tracker
from studies._study import Study

PULSE_SECONDS = 0.5
STOP_SECONDS = 5.0  # how long a stopped trial waits for the next checkpoint before it leaves with the one it has

WEIGHTS = "weights.safetensors"
SAMPLES = "samples.png"


class _Stop(Exception):
    """The supervisor wants this trial to leave, or is gone."""


class _Prune(Exception):
    """The supervisor has seen enough of this trial."""


def play(task: Task, tracker: Tracker) -> Generator[Message | None, Reply | None, None]:
    """Play a trial, yielding messages for the supervisor; None is yielded at every other event, to be replied to as well.

    What is sent in is the supervisor's reply: "stop" leaves at the next checkpoint, "prune" (to a Report) at once. The
    last message is always an Ended, whatever happens.
    """
    run = tracker.resume(task.run)
    player = _Player(task, run)
    try:
        yield from player.play()
        end = player.ended("complete") if player.values else _no_objective(player)
    except _Stop:
        end = player.ended("stopped")
    except _Prune:
        end = player.ended("pruned")
    except Diverged as error:
        end = player.ended("diverged", error.reason, str(error))
    except Exception as error:
        end = player.ended("failed", type(error).__name__, traceback.format_exc())
    run.scalars(player.step, {f"seconds/{stage}": seconds for stage, seconds in player.seconds.items()})
    run.flush()
    yield end


def _no_objective(player: "_Player") -> Ended:
    keys = ", ".join(objective.key for objective in player.study.objectives)
    return player.ended("failed", "NoObjective", f"the trainer ended without ever reporting {keys}")


class _Player:
    """The state of a trial while it is played."""

    def __init__(self, task: Task, run: Run) -> None:
        self.task, self.run = task, run
        self.folder = Path(task.folder)
        self.study: Study[Any, Any] = studies.load(task.study)
        self.values: tuple[float, ...] = ()
        self.reports = 0
        self.step = 0
        self.seconds: dict[str, float] = {}  # by stage, over all of the trial's lives
        self.stage, self.since = "start", time.monotonic()
        self.stopping: float | None = None
        self.last_pulse = -math.inf
        self.last_save = time.monotonic()

    def ended(self, outcome: Outcome, reason: str = "", detail: str = "") -> Ended:
        self._enter(self.stage)
        return Ended(outcome, self.values, reason, detail)

    def play(self) -> Generator[Message | None, Reply | None, None]:
        task = self.task
        env = Env(task.data, task.seed, task.device, Path(task.data_folder), Path(task.cache_folder))
        config = self.study.config.model_validate(task.config)
        saved = checkpoint.load(self.folder)
        if saved is not None:
            self.reports, self.values = saved["reports"], tuple(saved["values"])
            self.step, self.seconds = saved["step"], dict(saved["seconds"])
        events = self.study.play(config, env, None if saved is None else saved["trainer"])
        try:
            for event in events:
                yield from self._take(event)
        finally:
            events.close()

    def _take(self, event: Event) -> Generator[Message | None, Reply | None, None]:
        now = time.monotonic()
        message: Message | None = None
        if isinstance(event, Checkpoint):
            self.step = event.step
            if self.stopping is not None or now - self.last_save >= self.task.checkpoint_seconds:
                self._save(event)
            if self.stopping is not None:
                raise _Stop
        elif isinstance(event, Progress):
            self._enter(event.stage)
            if now - self.last_pulse >= PULSE_SECONDS or event.done == event.total:
                self.last_pulse, message = now, Pulse(event.stage, event.done, event.total)
        elif isinstance(event, Weights):
            self._keep_weights(event)
        else:
            self.run.write(event)
            if isinstance(event, Images) and event.key == self.study.pictures:
                figures.save(figures.draw(event), self.folder / SAMPLES)
            message = self._read(event)
        self._heed((yield message))
        if self.stopping is not None and now - self.stopping > STOP_SECONDS:
            raise _Stop

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
        self.run.flush()  # what a resumed trial will not say again must have arrived before
        state = {"reports": self.reports, "values": list(self.values), "step": event.step, "seconds": self.seconds}
        checkpoint.save(self.folder, state | {"trainer": event.state()})
        self.last_save = time.monotonic()

    def _keep_weights(self, event: Weights) -> None:
        from safetensors.torch import save_file

        save_file({name: tensor.contiguous() for name, tensor in event.state.items()}, self.folder / WEIGHTS)
