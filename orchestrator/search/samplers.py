"""Optuna's samplers and pruners, by the names of our options. What each can do is in capabilities.py."""

import copy
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from orchestrator.search.capabilities import STARTUP_TRIALS

CONSTRAINT = "constraints"  # begins the system attributes that hold a trial's constraints


class _Gp(GPSampler):
    """Learns the parameters in ``common`` alone, whatever trials have had by chance.

    It sees completed trials only, and a trial that was completed violates no constraint. So it needs no model of constraints,
    which would take as long again, and would fail where another program completed a trial.
    """

    def __init__(self, common: Collection[str], **options: Any) -> None:
        super().__init__(**options)
        self.common = common

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """See BaseSampler."""
        return _of(self.common, super().infer_relative_search_space(study, trial))

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See BaseSampler."""
        return super().sample_relative(_Unconstrained(study), trial, search_space)  # type: ignore[arg-type]


class _CmaEs(CmaEsSampler):
    """Learns the parameters in ``common`` alone: it would learn nothing any more once their number changes."""

    def __init__(self, common: Collection[str], **options: Any) -> None:
        super().__init__(**options)
        self.common = common

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """See BaseSampler."""
        return _of(self.common, super().infer_relative_search_space(study, trial))


class _Unconstrained:
    """A study whose trials show no constraints."""

    def __init__(self, study: optuna.Study) -> None:
        self.study = study

    def __getattr__(self, name: str) -> Any:
        return getattr(self.study, name)

    def _get_trials(self, **options: Any) -> list[FrozenTrial]:
        return [_unconstrained(trial) for trial in self.study._get_trials(**options)]


def _unconstrained(trial: FrozenTrial) -> FrozenTrial:
    shown = copy.copy(trial)
    shown._system_attrs = {name: value for name, value in trial.system_attrs.items() if not name.startswith(CONSTRAINT)}
    return shown


def _of(common: Collection[str], space: dict[str, BaseDistribution]) -> dict[str, BaseDistribution]:
    return {name: distribution for name, distribution in space.items() if name in common}


def _tpe(seed: int, common: Collection[str]) -> BaseSampler:
    # Conditional parameters are modelled together with the branch that they belong to only in groups.
    return TPESampler(seed=seed, multivariate=True, group=True, n_startup_trials=STARTUP_TRIALS)


def _random(seed: int, common: Collection[str]) -> BaseSampler:
    return RandomSampler(seed)


def _gp(seed: int, common: Collection[str]) -> BaseSampler:
    return _Gp(common, seed=seed, n_startup_trials=STARTUP_TRIALS, warn_independent_sampling=False)


def _cmaes(seed: int, common: Collection[str]) -> BaseSampler:
    return _CmaEs(common, seed=seed, n_startup_trials=STARTUP_TRIALS, warn_independent_sampling=False)


SAMPLERS: dict[str, Callable[[int, Collection[str]], BaseSampler]] = {
    "tpe": _tpe,
    "random": _random,
    "grid": _random,  # the book asks for the points of the grid one by one
    "gp": _gp,
    "cmaes": _cmaes,
}

PRUNERS: dict[str, Callable[[], BasePruner]] = {
    # Reports are counted 1, 2, 3 …, and the first is too early to judge by: those below n_warmup_steps are not judged.
    "median": lambda: MedianPruner(n_startup_trials=4, n_warmup_steps=2),
    "asha": lambda: SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
    "hyperband": lambda: HyperbandPruner(min_resource=1, max_resource="auto", reduction_factor=2),
    "none": NopPruner,
}


@contextmanager
def quietly() -> Iterator[None]:
    """Without warnings of Optuna's that are no news to a sweep's user.

    Its version is pinned, so what may change does not; and CMA-ES not seeing divergences is stated in our help.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", "Constraints have been set, but CmaEsSampler")
        yield


def sampler(name: str, seed: int, common: Collection[str]) -> BaseSampler:
    """The sampler called ``name``. It is made anew for every trial, so all that it knows is in the storage.

    ``common`` are the parameters that every configuration has, with the same range.
    """
    with quietly():
        return SAMPLERS[name](seed, common)


def pruner(name: str) -> BasePruner:
    """The pruner called ``name``."""
    return PRUNERS[name]()
