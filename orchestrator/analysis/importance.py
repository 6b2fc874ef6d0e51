"""What the objective depends on, from the trials of a search: shares of its variance, directions, and how far to believe them."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from optuna import Study, importance
from optuna.trial import FrozenTrial

from orchestrator.analysis.paired_tests import LEVEL, holm
from orchestrator.analysis.scale import spans_decades
from orchestrator.search.trials import Trial

LEAST = 12  # trials that a word on a parameter asks for
TREES = 200


class Effect(NamedTuple):
    """What goes with a parameter over the trials of a search. Trials are not drawn at random, so it is no experiment."""

    name: str
    text: str
    p: float  # of no dependence, corrected for the number of parameters


def shares(study: Study) -> dict[str, float]:
    """Shares of the variance of the first objective by fANOVA, the greatest first; {} where nothing can be said.

    Optuna's default looks at the best tenth of the trials, one or two in a small sweep, and gives a factor of 4 in the
    objective no weight there. Conditional parameters are not assessed.
    """
    values = [trial.values[0] for trial in study.trials if trial.values and math.isfinite(trial.values[0])]
    if len(values) < 2:
        return {}
    log = spans_decades(values)

    def target(trial: FrozenTrial) -> float:  # -inf is a value too; optuna passes over what is not finite
        return math.log(trial.values[0]) if log and trial.values[0] > 0 else trial.values[0]

    # Six levels of a tree find the same shares as its 64 by default: 0.5 s instead of 16 s for 1000 trials.
    evaluator = importance.FanovaImportanceEvaluator(seed=0, max_depth=6)
    try:
        importances = importance.get_param_importances(study, evaluator=evaluator, target=target)
    except RuntimeError:  # "zero total variance": the values are equal, or differ by conditional parameters only
        return {}
    return dict(importances)


def explained(trials: Sequence[Trial]) -> float | None:
    """The share of the variance that settings explain on trials that a forest has not seen (out of bag), at most 1.

    Near 0, or below, settings do not predict the objective, and shares of importance mean little. None below LEAST trials.
    """
    from sklearn.ensemble import RandomForestRegressor

    done = [trial for trial in trials if trial.values and math.isfinite(trial.values[0])]
    values = [trial.values[0] for trial in done]
    names = sorted({name for trial in done for name in trial.params})
    if len(done) < LEAST or len(set(values)) < 2 or not names:
        return None
    columns = np.concatenate([_columns(name, done) for name in names], 1)
    forest = RandomForestRegressor(TREES, oob_score=True, min_samples_leaf=2, random_state=0)
    forest.fit(columns, np.log(values) if spans_decades(values) else values)
    return float(forest.oob_score_)


def _columns(name: str, trials: Sequence[Trial]) -> NDArray[np.float64]:
    """A parameter as numbers, a row a trial; a column more says where it is absent."""
    kinds = list(dict.fromkeys(repr(trial.params[name]) for trial in trials if name in trial.params))
    if any(_choices(trial, name) for trial in trials):
        return np.array([[repr(trial.params.get(name, ...)) == kind for kind in kinds] for trial in trials], float)
    there = [[float(name in trial.params), float(trial.params.get(name, 0))] for trial in trials]
    return np.array(there)


def _choices(trial: Trial, name: str) -> bool:
    return name in trial.space and trial.space[name].kind == "categorical"


def effects(trials: Sequence[Trial], names: Sequence[str], better: str) -> list[Effect]:
    """For each of ``names`` how the objective goes with it, in words; ``better`` is "lower" or "higher"."""
    tests = [_effect(name, [trial for trial in trials if name in trial.params], better) for name in names]
    known = [effect for effect in tests if effect is not None]
    return [effect._replace(p=p) for effect, p in zip(known, holm([effect.p for effect in known]), strict=True)]


def _effect(name: str, trials: Sequence[Trial], better: str) -> Effect | None:
    from scipy import stats

    kinds: dict[str, list[float]] = {}
    for trial in trials:
        kinds.setdefault(str(trial.params[name]), []).append(trial.values[0])
    if len(trials) < LEAST or len(kinds) < 2 or len({trial.values[0] for trial in trials}) < 2:
        return None
    if _choices(trials[0], name):
        several = [values for values in kinds.values() if len(values) > 1]
        p = float(stats.kruskal(*several).pvalue) if len(several) > 1 else 1.0
        listed = ", ".join(f"{median(values):.3g} with {kind} ({len(values)} trials)" for kind, values in kinds.items())
        return Effect(name, f"medians are {listed}", p)
    rank = stats.spearmanr([trial.params[name] for trial in trials], [trial.values[0] for trial in trials])
    way = "lower" if (rank.statistic > 0) == (better == "lower") else "higher"
    return Effect(
        name, f"{way} values went with better results (rank correlation {rank.statistic:.2f})", float(rank.pvalue)
    )


def apart(first: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> list[str]:
    """Numbers among settings by which the ``first`` trials differ significantly from the ``others``, as texts."""
    from scipy import stats

    names = sorted({name for settings in (*first, *others) for name, value in settings.items() if _number(value)})
    differing: list[tuple[float, str]] = []
    for name in names:
        a, b = ([settings[name] for settings in group if name in settings] for group in (first, others))
        if min(len(a), len(b)) >= 3:
            p = float(stats.mannwhitneyu(a, b).pvalue)
            differing.append((p, f"{name} (median {median(a):.3g}, of completed ones {median(b):.3g})"))
    adjusted = holm([p for p, _ in differing])
    return [description for p, (_, description) in zip(adjusted, differing, strict=True) if p < LEVEL]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
