"""What a sweep tries before its sampler is asked: the points of a grid, the study's own recipes, the arms of a comparison."""

import itertools
import random
from typing import Any

from orchestrator.search import factorial
from orchestrator.search.factorial import Comparison
from orchestrator.search.spec import GRID_POINTS, Spec
from orchestrator.search.trials import ARM, REPLICATE, Trial
from studies.parts import space as _space
from studies.parts.study import Study

MOST_POINTS = 1_000_000  # of a grid


def base(spec: Spec, study: Study[Any, Any]) -> Any:
    """The config that the sweep's next trials vary."""
    return study.config.model_validate(spec.base)


def grid(spec: Spec, study: Study[Any, Any]) -> list[dict[str, Any]]:
    """The points of the grid, shuffled by the seed, so that a part of it is spread over the whole."""
    points = _space.grid(spec.space_of(study), base(spec, study), GRID_POINTS)
    settings = list(itertools.islice(points, MOST_POINTS))
    random.Random(spec.seed).shuffle(settings)
    return settings


def recipe(spec: Spec, study: Study[Any, Any], index: int) -> dict[str, Any]:
    """The study's own recipe of that index; {} where it has no more: then the sampler chooses."""
    recipes = _space.recipes(study.first, spec.fixed)
    if index >= len(recipes):
        return {}
    return _space.recipe(spec.space_of(study), base(spec, study).model_copy(update=recipes[index]))


def next_arm(comparison: Comparison, trials: list[Trial]) -> tuple[dict[str, Any], dict[str, int]]:
    """The settings of the arm that is next, and the user attributes of its trial."""
    arm, replicate = factorial.upcoming(factorial.begun(comparison, trials), comparison)
    return comparison.arms[arm].settings, {ARM: arm, REPLICATE: replicate}
