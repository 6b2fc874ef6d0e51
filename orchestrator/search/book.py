"""The Optuna side of a sweep: what is asked, what was heard, what is told. One process writes to a sweep at a time."""

import itertools
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

import studies
from models.env import derive_seed
from models.hints import did_you_mean
from orchestrator.errors import UserError
from orchestrator.messages import Ended
from orchestrator.search import factorial
from orchestrator.search import samplers as search
from orchestrator.search.factorial import Comparison
from orchestrator.search.spec import GRID_POINTS, Spec
from studies.parts import space as _space
from studies.parts.study import Study, StudyError

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
SPEC = "sweep"  # the user attribute that holds a sweep's Spec
ENQUEUED = "enqueued"  # the user attribute of a trial that was asked for by name
REQUEST = "request/"  # begins the user attributes that hold what was asked of a sweep from elsewhere
DRIVER = "driver"  # the user attribute that says who drives a sweep
INFEASIBLE = "infeasible"  # the constraint that a trial violates where it cannot be played to its end
AVOIDED = ("diverged", "out_of_memory")  # outcomes that violate it


optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class Asked:
    """A trial to be played: its number, its settings, its seed, and the MLflow run that it has, if it began before."""

    number: int
    params: dict[str, Any]
    config: dict[str, Any]
    seed: int
    run: str | None


class Book:
    """One sweep's Optuna study."""

    def __init__(self, study: optuna.Study, spec: Spec) -> None:
        self.study, self.spec = study, spec
        self.live: dict[int, optuna.Trial] = {}
        study.pruner = search.pruner(spec.pruner)

    @cached_property
    def search(self) -> Study[Any, Any]:
        """Our study. Loaded when it is first wanted: a table of trials needs none, and its file may be gone."""
        return studies.load(self.spec.study)

    # ---- what stands in it -------------------------------------------------------------------------------------------

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """All trials, or those in ``states``, by number."""
        return self.study.get_trials(deepcopy=False, states=states or None)

    def finished(self) -> list[FrozenTrial]:
        """Trials that count towards the total."""
        return self.trials(*FINISHED)

    def trials_running(self) -> list[FrozenTrial]:
        """Trials that a supervisor plays, or has left."""
        return self.trials(TrialState.RUNNING)

    def best(self, n: int = 1) -> list[FrozenTrial]:
        """The ``n`` best complete trials by the first objective, the best first."""
        sign = self.spec.signs[0]
        return sorted(self.trials(TrialState.COMPLETE), key=lambda trial: sign * trial.values[0])[:n]

    def config(self, trial: FrozenTrial | optuna.Trial) -> Any:
        """The config that a trial has: parameters are named as the fields that they set."""
        return self.search.config.model_validate(self.spec.base_of(trial.number) | trial.params)

    def label(self, trial: FrozenTrial | optuna.Trial) -> str:
        """What the study calls a trial, by its settings; '' where it says nothing, or its file is gone."""
        try:
            return self.search.label.format(**self.config(trial).model_dump())
        except StudyError:
            return ""

    def incompatible(self, now: Spec) -> str:
        """Why trials asked under ``now`` cannot stand beside those that there are, '' where they can."""
        if now.objectives != self.spec.objectives:
            return f"objectives {now.objectives} (was {self.spec.objectives})"
        for name, parameter in now.parameters().items():
            before = self.spec.parameters().get(name)
            if before is None:
                continue
            if before.kind != parameter.kind or before.log != parameter.log:
                return f"{name} is another kind of parameter"
            if before.choices != parameter.choices:
                return f"{name} has other choices"
        return ""

    def total(self) -> int:
        """Trials that the sweep is to have: fewer than asked for where a grid has no more points."""
        if self.spec.comparison:
            played = factorial.begun(self.spec.comparison, self.trials())
            return factorial.total(played, self.spec.trials, self.spec.comparison)
        if self.spec.sampler != "grid":
            return self.spec.trials
        return min(self.spec.trials, len(self._grid) + sum(ENQUEUED in trial.user_attrs for trial in self.trials()))

    def refresh(self) -> None:
        """Learn what another process has changed of what the sweep knows of itself; trials are looked up anew anyway."""
        self.spec = Spec.model_validate(self.notes()[SPEC])

    # ---- writing it --------------------------------------------------------------------------------------------------

    def update(self, **changes: Any) -> None:
        """Change what the sweep knows of itself."""
        self.spec = self.spec.model_copy(update=changes)
        self.study.set_user_attr(SPEC, self.spec.model_dump(mode="json"))

    def ask(self) -> Asked:
        """A new trial, RUNNING from now on. What it is depends on the sweep's seed and on what has been told, only."""
        before = self.trials()
        waiting = [trial.number for trial in before if trial.state is TrialState.WAITING]
        if not waiting:
            if self.spec.comparison:
                self._enqueue_arm(self.spec.comparison, before)
            elif first := self._first(sum(ENQUEUED not in trial.user_attrs for trial in before)):
                self.study.enqueue_trial(first)
        self._seed(waiting[0] if waiting else len(before))
        with search.quietly():
            return self._asked(self.study.ask())

    def adopt(self) -> list[Asked]:
        """Trials that an earlier supervisor left RUNNING, to go on as themselves."""
        adopted = []
        for left in self.trials_running():
            self._seed(left.number)  # it may have been left before all of its parameters were chosen
            with search.quietly():
                adopted.append(self._asked(optuna.Trial(self.study, left._trial_id)))
        return adopted

    def enqueue(self, params: Mapping[str, Any]) -> None:
        """Have a configuration tried next; parameters that are not in it are the sampler's."""
        self.study.enqueue_trial(dict(params), user_attrs={ENQUEUED: True})

    def drop(self, arm: int, why: str) -> None:
        """An arm of a race leaves it."""
        comparison = self.spec.comparison
        if comparison is not None:
            arms = [
                one.model_copy(update={"dropped": why}) if i == arm else one for i, one in enumerate(comparison.arms)
            ]
            self.update(comparison=comparison.model_copy(update={"arms": arms}))

    def launched(self, number: int, run: str) -> None:
        """Note the MLflow run of a trial."""
        if self.live[number].user_attrs.get("run") != run:
            self.live[number].set_user_attr("run", run)

    def died(self, number: int, at: int, how: str) -> list[dict[str, Any]]:
        """Note that a trial's worker died, its last checkpoint being of step ``at``; returns all deaths of the trial."""
        trial = self.live[number]
        deaths = [*trial.user_attrs.get("deaths", []), {"at": at, "how": how}]
        trial.set_user_attr("deaths", deaths)
        return deaths

    def place(self, number: int) -> int:
        """The step of the checkpoint at which a trial's worker last died; 0 where none has."""
        deaths = self.live[number].user_attrs.get("deaths", [])
        return int(deaths[-1]["at"]) if deaths else 0

    def report(self, number: int, index: int, values: tuple[float, ...]) -> bool:
        """Note the objectives' ``index``-th values; returns whether the trial is to be pruned.

        Optuna prunes by one value, so trials with several objectives run to their end.
        """
        if len(self.spec.objectives) > 1:
            return False
        trial = self.live[number]
        # Only this process writes to the trial, so what it remembers of it is what stands in the storage.
        if index not in trial._cached_frozen_trial.intermediate_values:
            trial.report(values[0], index)
        return trial.should_prune()

    def tell(self, number: int, end: Ended) -> None:
        """Close a trial. One that cannot be is told as pruned and infeasible, so that the sampler keeps away from it."""
        trial = self.live.pop(number)
        trial.set_user_attr("outcome", end.outcome)
        trial.set_user_attr("seconds", round(end.seconds, 2))
        if end.reason:
            trial.set_user_attr("reason", end.reason)
            trial.set_user_attr("detail", end.detail[-2000:])
        trial.set_constraint(INFEASIBLE, 1.0 if end.outcome in AVOIDED else -1.0)
        told: dict[str, Any] = {"state": TrialState.FAIL}
        if end.outcome == "complete":
            told = {"values": list(end.values)}
        elif end.outcome == "pruned" or end.outcome in AVOIDED:
            told = {"state": TrialState.PRUNED}
        with search.quietly():
            self.study.tell(number, **told)

    # ---- what is said of it from elsewhere ---------------------------------------------------------------------------

    def note(self, key: str, value: Any) -> None:
        """Keep something with the sweep."""
        self.study.set_user_attr(key, value)

    def notes(self) -> dict[str, Any]:
        """All that is kept with the sweep, as it stands now."""
        return dict(self.study._storage.get_study_user_attrs(self.study._study_id))

    # ---- how a trial comes about -------------------------------------------------------------------------------------

    def _asked(self, trial: optuna.Trial) -> Asked:
        if any(trial.number < drift.before for drift in self.spec.drifts):
            config = self.config(trial)
        else:
            config = self._space()(trial, self._base())
        self.live[trial.number] = trial
        replicate = trial.user_attrs.get(factorial.REPLICATE)  # arms are compared in pairs that share a seed
        parts = ("trial", trial.number) if replicate is None else ("replicate", replicate)
        seed = derive_seed(self.spec.seed, *parts)
        run = trial.user_attrs.get("run")
        return Asked(trial.number, trial.params, config.model_dump(mode="json"), seed, run)

    def _seed(self, number: int) -> None:
        """Make the sampler that trial ``number`` is asked of."""
        self.study.sampler = search.sampler(self.spec.sampler, derive_seed(self.spec.seed, "sampler", number) % 2**32)

    def _first(self, index: int) -> dict[str, Any]:
        """What is tried before the sampler is asked: all of a grid; else the study's own recipes."""
        if self.spec.sampler == "grid":
            return self._grid[index]
        recipes = _space.recipes(self.search.first, self.spec.fixed)
        if index >= len(recipes):
            return {}
        return _space.recipe(self._space(), self._base().model_copy(update=recipes[index]))

    @cached_property
    def _grid(self) -> list[dict[str, Any]]:
        """The grid, shuffled by the seed, so that a part of it is spread over the whole."""
        points = list(itertools.islice(_space.grid(self._space(), self._base(), GRID_POINTS), 1_000_000))
        random.Random(self.spec.seed).shuffle(points)
        return points

    def _enqueue_arm(self, comparison: Comparison, trials: list[FrozenTrial]) -> None:
        arm, replicate = factorial.upcoming(factorial.begun(comparison, trials), comparison)
        attributes = {factorial.ARM: arm, factorial.REPLICATE: replicate}
        self.study.enqueue_trial(comparison.arms[arm].settings, user_attrs=attributes)

    def _space(self) -> _space.Space[Any]:
        return self.spec.space_of(self.search)

    def _base(self) -> Any:
        return self.search.config.model_validate(self.spec.base)


def create(storage: RDBStorage, spec: Spec) -> Book:
    """A new sweep."""
    study = optuna.create_study(
        storage=storage, study_name=spec.name, directions=[direction for _, direction in spec.objectives]
    )
    with search.quietly():
        study.set_metric_names([key for key, _ in spec.objectives])
    book = Book(study, spec)
    book.update()
    return book


def find(storage: RDBStorage, name: str) -> Spec | None:
    """What the sweep ``name`` knows of itself; None where there is no such sweep. UserError for a foreign study."""
    try:
        study_id = storage.get_study_id_from_name(name)
    except KeyError:
        return None
    stored = storage.get_study_user_attrs(study_id).get(SPEC)
    if stored is None:
        raise UserError(f"'{name}' is an Optuna study that no sweep made; choose another --name")
    return Spec.model_validate(stored)


def load(storage: RDBStorage, name: str) -> Book:
    """The sweep ``name``; UserError, with the near miss, where there is none."""
    spec = find(storage, name)
    if spec is None:
        raise UserError(_unknown(name, names(storage)))
    # Loading a study with more than one objective must not warn that its pruner is ignored.
    return Book(optuna.load_study(study_name=name, storage=storage, pruner=optuna.pruners.NopPruner()), spec)


def names(storage: RDBStorage) -> list[str]:
    """The sweeps of a storage, in the order in which they were made."""
    return [study.study_name for study in storage.get_all_studies() if SPEC in study.user_attrs]


def fresh_name(storage: RDBStorage, study: str, data: str) -> str:
    """A name that no sweep has yet: study-data-1, -2, …"""
    taken = {study.study_name for study in storage.get_all_studies()}
    stem = f"{study}-{data}".replace("_", "-")
    return next(f"{stem}-{n}" for n in itertools.count(1) if f"{stem}-{n}" not in taken)


def _unknown(name: str, known: list[str]) -> str:
    hint = did_you_mean(name, known)
    return f"no sweep '{name}' here; {hint}'sweep list' shows those that there are, --storage says where to look"


def better(direction: str, a: float, b: float) -> bool:
    """Whether ``a`` is a better value than ``b``."""
    return not math.isnan(a) and (a < b if direction == "minimize" else a > b)
