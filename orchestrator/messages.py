"""What the supervisor and a worker say to each other: plain values, a task one way and reports the other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

Outcome = Literal["complete", "pruned", "diverged", "out_of_memory", "failed", "stopped"]
Reply = Literal["go", "prune", "stop"]

CANNOT_WRITE = "cannot_write"  # why a trial has stopped by itself


class Task(BaseModel, frozen=True):
    """One trial to play: all that a worker is told. It is JSON, so that a worker may be anywhere."""

    sweep: str
    study: str
    trial: int
    config: dict[str, Any]
    data: str
    data_named: str = ""  # as the user named them, where they lie elsewhere on this machine
    data_folder: str
    cache_folder: str
    folder: str  # of this trial: checkpoints and outbox while it runs, then its weights and samples
    seed: int
    device: str
    threads: int
    checkpoint_seconds: float = 30.0
    checkpoints: str = ""  # where they are; '' is the trial's folder


WAITING = "waiting for a place"  # the stage of a trial that a launcher has put nowhere yet


@dataclass(frozen=True)
class Placed:
    """Where the trial is played, from a launcher that chooses among machines: said before anything else. No reply."""

    place: str


@dataclass(frozen=True)
class Report:
    """The objectives' values the ``index``-th time they were seen, from 1. The worker waits for a Reply."""

    index: int
    values: tuple[float, ...]
    at: int  # step of training


@dataclass(frozen=True)
class Pulse:
    """A sign of life, and how far the trial is. No reply."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class Saved:
    """There is a checkpoint of this step of training: written now, or found at the start. No reply."""

    step: int


@dataclass(frozen=True)
class Ended:
    """The last message. ``values`` are the objectives' last ones, () where none was seen."""

    outcome: Outcome
    values: tuple[float, ...] = ()
    reason: str = ""  # of a divergence or failure, a short name
    detail: str = ""  # one sentence, or the traceback of a failure
    seconds: float = 0.0  # that the trial took, over all its lives
    gpu_memory: float = 0.0  # the share of its GPU's memory that it had reserved at most, 0 to 1
    # The last values of the objectives' groups, which a reader needs to interpret the objectives. In files: "beside".
    group_values: Annotated[Mapping[str, float], Field(alias="beside")] = field(default_factory=dict)


Message = Placed | Report | Pulse | Saved | Ended
