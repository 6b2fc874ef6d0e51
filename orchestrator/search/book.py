"""The Optuna side of a sweep: trials are asked for, reported and closed here. One process writes to a sweep at a time."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from models.env import derive_seed
from models.hints import did_you_mean
from orchestrator.errors import UserError
from orchestrator.messages import Ended
from orchestrator.search import combinations, factorial, home, moved, proposals, samplers, trials
from orchestrator.search.spec import Spec
from orchestrator.search.trials import FINISHED, Death, PendingTrial, Settings, State, Stay, Trial
from orchestrator.stores import urls
from orchestrator.stores.optuna_storage import Storage, hold, load_study
from studies.parts.study import Study, StudyError

SPEC = "sweep"  # the user attribute that holds a sweep's Spec
REQUEST = "request/"  # begins the user attributes that hold what was asked of a sweep from elsewhere
DRIVER = "driver"  # the user attribute that says who drives a sweep
INFEASIBLE = "infeasible"  # the constraint that a trial violates where it cannot be run to its end
AVOIDED = ("diverged", "out_of_memory")  # outcomes that violate it


class Book:
    """One sweep's Optuna study."""

    def __init__(
        self, optuna_study: optuna.Study, spec: Spec, address: str = "", obstacle: str = "", unsettled: str = ""
    ) -> None:
        """``address`` is the storage's; ``obstacle`` is why the sweep may not be changed from here, '' where it may.

        ``unsettled`` is why it may only be asked for something, as while it is driven from where the folder was.
        """
        self.optuna_study, self.spec, self.address = optuna_study, spec, address
        self.obstacle, self.unsettled = obstacle, unsettled
        self._running: dict[int, optuna.Trial] = {}  # those that this process runs
        self._finished: dict[int, Trial] = {}  # they do not change any more
        self._proposes = True  # trials may be left that are tried before the sampler is asked
        optuna_study.pruner = samplers.pruner(spec.pruner)

    @cached_property
    def study(self) -> Study[Any, Any]:
        """Our study. Loaded when it is first wanted: a table of trials needs none, and its file may be gone."""
        return self.spec.load_study()

    # ---- what stands in it -------------------------------------------------------------------------------------------

    def trials(self, *states: State) -> list[Trial]:
        """All trials, or those in ``states``, by number."""
        stored = self._frozen(*states)
        for frozen in stored:
            if frozen.state.is_finished() and frozen.number not in self._finished:
                self._finished[frozen.number] = trials.from_optuna(frozen)
        return [self._finished.get(frozen.number) or trials.from_optuna(frozen) for frozen in stored]

    def finished(self) -> list[Trial]:
        """Trials that count towards the total."""
        return self.trials(*FINISHED)

    def trials_running(self) -> list[Trial]:
        """Trials that a supervisor runs, or has left."""
        return self.trials("running")

    def best(self, n: int = 1) -> list[Trial]:
        """The ``n`` best complete trials by the first objective, the best first."""
        sign = self.spec.signs[0]
        return sorted(self.trials("complete"), key=lambda trial: sign * trial.values[0])[:n]

    def config(self, trial: Settings) -> Any:
        """The config that a trial has: parameters are named as the fields that they set. What is held is no parameter of it."""
        settings = {**self.spec.base_of(trial.number), **self.spec.fixed, **trial.params}
        return self.study.config.model_validate(settings)

    def label(self, trial: Settings) -> str:
        """What the study calls a trial, by its settings; '' where it says nothing, or its file is gone."""
        try:
            return self.study.label.format(**self.config(trial).model_dump())
        except StudyError:
            return ""

    def total(self) -> int:
        """Trials that the sweep is to have: fewer than asked for where a grid has no more points."""
        if self.spec.comparison:
            begun = factorial.begun(self.spec.comparison, self.trials())
            return factorial.total(begun, self.spec.trials, self.spec.comparison)
        if self.spec.sampler != "grid":
            return self.spec.trials
        others = sum(not proposals.is_grid_point(self.spec, trial) for trial in self.trials())
        return min(self.spec.trials, len(self._grid) + others)

    def refresh(self) -> None:
        """Learn what another process has changed of what the sweep knows of itself; trials are looked up anew anyway."""
        self.spec, _ = home.restored(self.notes()[SPEC], self.address)

    # ---- writing it --------------------------------------------------------------------------------------------------

    def claim(self) -> None:
        """Raise UserError where the sweep may not be changed from here: its files are elsewhere, or another sweep's."""
        if reason := self.obstacle or self.unsettled:
            raise UserError(reason)

    def update(self, **changes: Any) -> None:
        """Change what the sweep knows of itself."""
        self.claim()
        self.spec, self._proposes = self.spec.model_copy(update=changes), True
        self.optuna_study.set_user_attr(SPEC, home.stored(self.spec, self.address))
        self.optuna_study.pruner = samplers.pruner(self.spec.pruner)

    def ask(self) -> PendingTrial:
        """A new trial, RUNNING from now on. What it is depends on the sweep's seed and on what has been told, only."""
        stored = self._frozen()
        waiting = [frozen.number for frozen in stored if frozen.state is TrialState.WAITING]
        if not waiting and self._proposes:  # only then all trials are looked at, one by one
            before = self.trials()
            if self.spec.comparison:
                settings, attributes = proposals.next_arm(self.spec.comparison, before)
                self.optuna_study.enqueue_trial(settings, user_attrs=attributes)
            elif first := proposals.first(self.spec, self.study, before, lambda: self._grid):
                self.optuna_study.enqueue_trial(first)
            else:
                self._proposes = False
        self._seed(waiting[0] if waiting else len(stored))
        with samplers.quietly():
            return self._pending(self.optuna_study.ask())

    def adopt(self) -> list[PendingTrial]:
        """Trials that an earlier supervisor left RUNNING, to go on as themselves."""
        adopted = []
        for frozen in self._frozen("running"):
            self._seed(frozen.number)  # it may have been left before all of its parameters were chosen
            with samplers.quietly():
                adopted.append(self._pending(optuna.Trial(self.optuna_study, frozen._trial_id)))
        return adopted

    def enqueue(self, params: Mapping[str, Any]) -> None:
        """Have a configuration tried next; parameters that are not in it are the sampler's."""
        self.optuna_study.enqueue_trial(dict(params), user_attrs={trials.ENQUEUED: True})

    def drop(self, arm: int, why: str) -> None:
        """An arm of a race leaves it."""
        if self.spec.comparison is not None:
            self.update(comparison=self.spec.comparison.drop(arm, why))

    def launched(self, number: int, run: str) -> None:
        """Note the MLflow run of a trial that this process runs."""
        trial = self._running.get(number)
        if trial is not None and trials.noted_run(trial) != run:
            trial.set_user_attr(trials.RUN, run)

    def died(self, number: int, at: int, how: str) -> list[Death]:
        """Note that a trial's worker died, its last checkpoint being of step ``at``; returns all deaths of the trial."""
        trial = self._running[number]
        deaths = [*trials.deaths_of(trial), Death(at, how)]
        trial.set_user_attr(trials.DEATHS, [vars(death) for death in deaths])
        return deaths

    def stayed(self, number: int, stay: Stay) -> None:
        """Note where and when a worker of a trial was."""
        trials.note_stay(self._running[number], stay)

    def place(self, number: int) -> int:
        """The step of the checkpoint at which a trial's worker last died; 0 where none has."""
        deaths = trials.deaths_of(self._running[number])
        return deaths[-1].at if deaths else 0

    def report(self, number: int, index: int, values: tuple[float, ...]) -> bool:
        """Note the objectives' ``index``-th values; returns whether the trial is to be pruned.

        Optuna prunes by one value, so trials with several objectives run to their end.
        """
        if len(self.spec.objectives) > 1:
            return False
        trial = self._running[number]
        # Only this process writes to the trial, so what it remembers of it is what stands in the storage.
        if index not in trial._cached_frozen_trial.intermediate_values:
            trial.report(values[0], index)
        return trial.should_prune()

    def tell(self, number: int, end: Ended) -> None:
        """Close a trial. One that cannot be is told as pruned and infeasible, so that the sampler keeps away from it."""
        trial = self._running.pop(number)
        trial.set_user_attr(trials.OUTCOME, end.outcome)
        trial.set_user_attr(trials.SECONDS, round(end.seconds, 2))
        if end.reason:
            trial.set_user_attr(trials.REASON, end.reason)
            trial.set_user_attr(trials.DETAIL, end.detail[-2000:])
        trial.set_constraint(INFEASIBLE, 1.0 if end.outcome in AVOIDED else -1.0)
        result: dict[str, Any] = {"state": TrialState.FAIL}
        if end.outcome == "complete":
            result = {"values": list(end.values)}
        elif end.outcome == "pruned" or end.outcome in AVOIDED:
            result = {"state": TrialState.PRUNED}
        with samplers.quietly():
            self.optuna_study.tell(number, **result)

    def forget_run(self, number: int) -> None:
        """Forget the MLflow run of a trial that runs: it is gone, and a new one is made."""
        for frozen in self._frozen("running"):  # Optuna takes no change of a finished one
            if frozen.number == number:
                self.optuna_study._storage.set_trial_user_attr(frozen._trial_id, trials.RUN, None)

    def delete(self) -> None:
        """Remove the sweep from its storage."""
        self.claim()
        optuna.delete_study(study_name=self.spec.name, storage=self.optuna_study._storage)

    # ---- what is said of it from elsewhere ---------------------------------------------------------------------------

    def note(self, key: str, value: Any) -> None:
        """Keep something with the sweep."""
        if self.obstacle:
            raise UserError(self.obstacle)
        self.optuna_study.set_user_attr(key, value)

    def notes(self) -> dict[str, Any]:
        """All that is kept with the sweep, as it stands now."""
        return dict(self.optuna_study._storage.get_study_user_attrs(self.optuna_study._study_id))

    def known_ids(self) -> set[str]:
        """The ids of all sweeps in the same storage."""
        stored = self.optuna_study._storage.get_all_studies()
        return {study.user_attrs[SPEC]["id"] for study in stored if SPEC in study.user_attrs}

    def known_trackers(self) -> set[str]:
        """The addresses of MLflow that the sweeps in the same storage have."""
        stored = self.optuna_study._storage.get_all_studies()
        specs = [home.restored(study.user_attrs[SPEC], self.address)[0] for study in stored if SPEC in study.user_attrs]
        return {spec.tracking_uri for spec in specs}

    # ---- how a trial comes about -------------------------------------------------------------------------------------

    def _frozen(self, *states: State) -> list[FrozenTrial]:
        return self.optuna_study.get_trials(deepcopy=False, states=[trials.STATES[state] for state in states] or None)

    def _pending(self, trial: optuna.Trial) -> PendingTrial:
        hold(self.optuna_study, trial)
        if any(trial.number < drift.before for drift in self.spec.drifts):
            config = self.config(trial)
        else:
            config = self.spec.space_of(self.study)(trial, proposals.base(self.spec, self.study))
        self._running[trial.number] = trial
        return trials.pending(trial, self.spec, config)

    def _seed(self, number: int) -> None:
        """Make the sampler that trial ``number`` is asked of."""
        seed = derive_seed(self.spec.seed, "sampler", number) % 2**32
        self.optuna_study.sampler = samplers.sampler(self.spec.sampler, seed, self._common)

    @cached_property
    def _common(self) -> frozenset[str]:
        return combinations.problem(self.spec, self.study).common

    @cached_property
    def _grid(self) -> list[dict[str, Any]]:
        return proposals.grid(self.spec, self.study)


def find(storage: Storage, name: str) -> Spec | None:
    """What the sweep ``name`` knows of itself; None where there is no such sweep. UserError for a foreign study."""
    restored = _restored(storage, name)
    return restored and restored[0]


def _restored(storage: Storage, name: str, moved_here: bool = False) -> tuple[Spec, home.Home] | None:
    try:
        study_id = storage.get_study_id_from_name(name)
    except KeyError:
        return None
    stored = storage.get_study_user_attrs(study_id).get(SPEC)
    if stored is None:
        raise UserError(f"'{name}' is an Optuna study that no sweep made; choose another --name")
    return home.restored(stored, str(storage.url), moved_here)


def load(storage: Storage, name: str, moved_here: bool = False) -> Book:
    """The sweep ``name``; UserError, with the near miss, where there is none.

    Where the user says that its folder has ``moved_here`` from another machine, or is lost, it may be changed from here.
    """
    restored = _restored(storage, name, moved_here)
    if restored is None:
        known = f"{did_you_mean(name, names(storage))}'sweep list' shows those in {urls.shown(str(storage.url))}"
        sentence = f"no sweep '{name}' here; {known}, --storage says where else to look"
        raise UserError(home.unknown(str(storage.url), name) or sentence)
    spec, place = restored
    if place.foreign:
        raise UserError(place.obstacle)
    unsettled = "" if place.shared else moved.follow(spec, place.before)
    obstacle = "" if moved_here and place.elsewhere else place.obstacle
    return Book(load_study(storage, name), spec, str(storage.url), obstacle, unsettled)


def names(storage: Storage) -> list[str]:
    """The sweeps of a storage, in the order in which they were made."""
    return [study.study_name for study in storage.get_all_studies() if SPEC in study.user_attrs]
