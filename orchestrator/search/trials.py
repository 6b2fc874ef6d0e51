"""A trial of a sweep as one value. Only this file reads what Optuna keeps with a trial."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, cast

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState
from pydantic import BaseModel

from models.env import derive_seed
from orchestrator.delivery.outbox import run_id
from orchestrator.layout import trial_folder
from orchestrator.messages import Outcome
from orchestrator.renaming import Renaming
from orchestrator.search.spec import Spec
from studies.parts.space import Parameter

State = Literal["waiting", "running", "complete", "pruned", "fail"]  # Optuna's
FINISHED: tuple[State, ...] = ("complete", "pruned", "fail")  # the states of trials that count towards the total
OUTCOMES: tuple[Outcome, ...] = ("complete", "pruned", "diverged", "out_of_memory", "failed")  # of finished trials
STATES: dict[State, TrialState] = {cast(State, state.name.lower()): state for state in TrialState}

# The user attributes of a trial in Optuna. Old sweeps have them: never rename one.
OUTCOME, REASON, DETAIL, SECONDS = "outcome", "reason", "detail", "seconds"
RUN, DEATHS = "run", "deaths"
STAYS = "stays"
ENQUEUED = "enqueued"  # the user asked for its configuration
ARM = "arm"  # of a comparison: which arm's it is, from 0
REPLICATE = "replicate"  # and which of the arm's seeds it has, from 0


class Settings(Protocol):
    """Any trial, as far as its config depends on it."""

    @property
    def number(self) -> int: ...

    @property
    def params(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Death:
    """The end of a worker that did not say why: the step of its last checkpoint, and how it ended."""

    at: int
    how: str

    @property
    def is_weak(self) -> bool:
        """Whether it says little of the trial: SIGKILL comes from outside, from a user, a batch system or a machine."""
        return "signal SIGKILL" in self.how


@dataclass(frozen=True)
class Stay:
    """The time of one worker of a trial: where that was, and when, in seconds since 1970."""

    where: str  # the machine and its GPU, on a cluster; else the device
    began: float
    ended: float
    waited: float = 0.0  # seconds until it had a place
    gpu_memory: float = 0.0  # the share of its GPU's memory that it had reserved at most, where it ended by itself
    memory: int = 0  # bytes of the machine's that it has held at most, by itself; 0 where that was not seen


@dataclass(frozen=True)
class PendingTrial:
    """A trial to be run: its settings, its seed, and its MLflow run, if it has begun before."""

    number: int
    params: dict[str, Any]
    config: dict[str, Any]
    seed: int
    run: str | None


@dataclass(frozen=True)
class Trial:
    """A trial as it stands: what was tried, and what came of it.

    ``outcome`` is how a finished trial ended, and "running" or "waiting" for others. ``values`` are the objectives', () where
    there are none; those of a pruned trial stand for less training. ``reports`` are the first objective's on the way, by
    their index from 1. ``space`` holds the range or choices that each parameter was taken from.
    """

    number: int
    state: State = "complete"
    outcome: Outcome | Literal["running", "waiting"] = "complete"
    params: Mapping[str, Any] = field(default_factory=dict)
    values: tuple[float, ...] = ()
    reports: Mapping[int, float] = field(default_factory=dict)
    reason: str = ""  # why it was not completed: a short name
    detail: str = ""  # the same in a sentence, or a traceback
    seconds: float | None = None  # that it took, over all its workers
    deaths: tuple[Death, ...] = ()
    stays: tuple[Stay, ...] = ()  # of the workers that are gone, in their order
    run: str = ""  # its MLflow run, where Optuna knows it; see run_of
    arm: int | None = None
    replicate: int | None = None
    enqueued: bool = False
    began: datetime | None = None
    ended: datetime | None = None
    space: Mapping[str, Parameter] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether it counts towards the total."""
        return self.state in FINISHED

    @property
    def value(self) -> float | None:
        """The first objective's value of a completed trial; None for others, whose values stand for less training."""
        return self.values[0] if self.state == "complete" else None

    @property
    def memory(self) -> int:
        """Bytes that one of its workers has held at most, by itself; 0 where that was not seen."""
        return max((stay.memory for stay in self.stays), default=0)

    @property
    def course(self) -> list[float]:
        """The reports in their order."""
        return [self.reports[index] for index in sorted(self.reports)]

    @property
    def latest(self) -> tuple[float, ...]:
        """The values, or else the last report; () where there is neither."""
        return self.values or tuple(self.course[-1:])


def from_optuna(frozen: FrozenTrial) -> Trial:
    """The trial that Optuna holds. What an older version did not keep, or another program, is left at its default."""
    attributes = frozen.user_attrs
    state = cast(State, frozen.state.name.lower())
    return Trial(
        number=frozen.number,
        state=state,
        outcome=_outcome(state, attributes.get(OUTCOME)),
        params=frozen.params,
        values=tuple(frozen.values or ()),
        reports=dict(sorted(frozen.intermediate_values.items())),
        reason=str(attributes.get(REASON) or ""),
        detail=str(attributes.get(DETAIL) or ""),
        seconds=attributes.get(SECONDS),
        deaths=tuple(deaths_of(frozen)),
        stays=tuple(Stay(**stay) for stay in attributes.get(STAYS, ())),
        run=attributes.get(RUN) or "",
        arm=attributes.get(ARM),
        replicate=attributes.get(REPLICATE),
        enqueued=ENQUEUED in attributes,
        began=frozen.datetime_start,
        ended=frozen.datetime_complete,
        space={name: _parameter(distribution) for name, distribution in frozen.distributions.items()},
    )


def _outcome(state: State, noted: Any) -> Any:
    """How a trial ended, by Optuna's state; ``noted`` says more of one that was not completed.

    A supervisor notes the outcome first and changes the state then. So a trial that runs may have an outcome that does not
    hold yet, and one whose end was told by another program has none.
    """
    if state in ("pruned", "fail"):
        by_state = "pruned" if state == "pruned" else "failed"
        return noted if noted in OUTCOMES and noted != "complete" else by_state
    return state


def _parameter(distribution: BaseDistribution) -> Parameter:
    match distribution:
        case CategoricalDistribution():
            return Parameter("categorical", choices=tuple(distribution.choices))
        case IntDistribution():
            return Parameter("int", distribution.low, distribution.high, distribution.log, distribution.step)
        case FloatDistribution():
            return Parameter("float", distribution.low, distribution.high, distribution.log, distribution.step)
    raise TypeError(f"unknown distribution {distribution}")


def deaths_of(trial: FrozenTrial | optuna.Trial) -> list[Death]:
    """How the trial's workers died so far, in their order."""
    return [Death(death["at"], death["how"]) for death in trial.user_attrs.get(DEATHS, ())]


def note_stay(trial: optuna.Trial, stay: Stay) -> None:
    """Keep with the trial where and when one more of its workers was."""
    trial.set_user_attr(STAYS, [*trial.user_attrs.get(STAYS, ()), vars(stay)])


def pending(trial: optuna.Trial, spec: Spec, config: BaseModel) -> PendingTrial:
    """The trial that Optuna has given. Arms of a comparison are compared in pairs of trials that share a seed."""
    replicate = trial.user_attrs.get(REPLICATE)
    parts = ("trial", trial.number) if replicate is None else ("replicate", replicate)
    seed = derive_seed(spec.seed, *parts)
    return PendingTrial(trial.number, trial.params, config.model_dump(mode="json"), seed, noted_run(trial))


def noted_run(trial: optuna.Trial) -> str | None:
    """The MLflow run of a trial that Optuna has given; None where it has none yet."""
    run: str | None = trial.user_attrs.get(RUN)
    return run


def run_of(spec: Spec, trial: Trial) -> str:
    """The MLflow run of a trial; '' where none is known."""
    return run_id(trial_folder(spec.folder, trial.number)) or trial.run


def runs_of(spec: Spec, trials: Iterable[Trial]) -> set[str]:
    """The MLflow runs of a sweep that are known: its own, and those of its arms and trials."""
    arms = spec.comparison.arms if spec.comparison else ()
    return {spec.run, *(arm.run for arm in arms), *(run_of(spec, trial) for trial in trials)} - {""}


def renamed(frozen: FrozenTrial, renaming: Renaming) -> FrozenTrial:
    """A copy of Optuna's trial for another storage, where runs, paths and the sweep have other names."""
    copy = deepcopy(frozen)
    copy.user_attrs = renaming.in_json(frozen.user_attrs)
    return copy
