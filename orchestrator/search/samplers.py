"""Optuna's samplers and pruners, by the names of our options."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler, TPESampler

STARTUP_TRIALS = 6  # before a model is trusted; Optuna's own 10 would leave a sweep of a dozen almost all random


def _tpe(seed: int) -> BaseSampler:
    # Conditional parameters are modelled together with the branch that they belong to only in groups.
    return TPESampler(seed=seed, multivariate=True, group=True, n_startup_trials=STARTUP_TRIALS)


def _gp(seed: int) -> BaseSampler:
    return GPSampler(seed=seed, n_startup_trials=STARTUP_TRIALS)


def _cmaes(seed: int) -> BaseSampler:
    return CmaEsSampler(seed=seed, n_startup_trials=STARTUP_TRIALS, warn_independent_sampling=False)


SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": _tpe,
    "random": lambda seed: RandomSampler(seed),
    "grid": lambda seed: RandomSampler(seed),  # the book asks for the points of the grid one by one
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


def sampler(name: str, seed: int) -> BaseSampler:
    """The sampler called ``name``. It is made anew for every trial, so all that it knows is in the storage."""
    with quietly():
        return SAMPLERS[name](seed)


def pruner(name: str) -> BasePruner:
    """The pruner called ``name``."""
    return PRUNERS[name]()
