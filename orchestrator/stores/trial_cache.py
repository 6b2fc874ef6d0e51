"""Optuna's cache of trials, which knows those that this process runs.

Optuna reads every unfinished trial from the storage whenever a sampler or a pruner looks at trials: with 64 that run, that was
three quarters of a supervisor's time. Only the process that runs a trial writes to it, so it need not read what it wrote.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.trial import TrialState


class TrialCache(_CachedStorage):
    """Trials that are held are kept here as they are written. All others are read, as Optuna reads them."""

    def __init__(self, backend: RDBStorage) -> None:
        super().__init__(backend)
        self._held = set[int]()  # ids of trials that this process alone writes to, until they have ended

    def hold(self, study_id: int, trial_id: int) -> None:
        """From now on this process runs the trial."""
        self._read_trials_from_remote_storage(study_id)  # others that were made before it are known from now on
        with self._lock:
            study = self._studies[study_id]
            study.unfinished_trial_ids.discard(trial_id)
            # Up to this id, only what is listed as unfinished is read again.
            study.last_finished_trial_id = max(study.last_finished_trial_id, trial_id)
            self._held.add(trial_id)

    def release(self) -> None:
        """This process runs no trial any more: all are read again, for others may go on with them."""
        with self._lock:
            for trial_id in self._held:
                self._read_again(trial_id)
            self._held.clear()

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """See BaseStorage."""
        super().set_trial_param(trial_id, param_name, param_value_internal, distribution)
        value = distribution.to_external_repr(param_value_internal)
        self._add(trial_id, params={param_name: value}, distributions={param_name: distribution})

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """See BaseStorage."""
        super().set_trial_intermediate_value(trial_id, step, intermediate_value)
        self._add(trial_id, intermediate_values={step: intermediate_value})

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """See BaseStorage."""
        super().set_trial_user_attr(trial_id, key, value)
        self._add(trial_id, user_attrs={key: value})

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """See BaseStorage."""
        super().set_trial_system_attr(trial_id, key, value)
        self._add(trial_id, system_attrs={key: value})

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """See BaseStorage. A trial that has ended is read once more, and then not any more."""
        changed = super().set_trial_state_values(trial_id, state, values)
        with self._lock:
            if trial_id in self._held:
                self._held.remove(trial_id)
                self._read_again(trial_id)
        return changed

    def _read_again(self, trial_id: int) -> None:
        study_id, _ = self._trial_id_to_study_id_and_number[trial_id]
        self._studies[study_id].unfinished_trial_ids.add(trial_id)

    def _add(self, trial_id: int, **parts: Mapping[Any, Any]) -> None:
        """Put entries into parts of a held trial. Whoever has been given the trial before keeps it as it was."""
        with self._lock:
            if trial_id not in self._held:
                return
            study_id, number = self._trial_id_to_study_id_and_number[trial_id]
            trial = copy.copy(self._studies[study_id].trials[number])
            for name, entries in parts.items():
                setattr(trial, name, {**getattr(trial, name), **entries})
            self._studies[study_id].trials[number] = trial
