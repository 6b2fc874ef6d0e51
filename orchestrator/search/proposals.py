"""What a sweep tries before its sampler is asked: the points of a grid, the study's own recipes, the arms of a comparison."""

import itertools
import random
from collections.abc import Callable
from typing import Any

from orchestrator.search import factorial
from orchestrator.search.combinations import MOST_POINTS
from orchestrator.search.factorial import Comparison
from orchestrator.search.spec import GRID_POINTS, Spec
from orchestrator.search.trials import ARM, REPLICATE, Trial
from studies.parts import space as _space
from studies.parts.study import Study


def base(spec: Spec, study: Study[Any, Any]) -> Any:
    """The config that the sweep's next trials vary."""
    return study.config.model_validate(spec.base)


def grid(spec: Spec, study: Study[Any, Any]) -> list[dict[str, Any]]:
    """The points of the grid, shuffled by the seed, so that a part of it is spread over the whole."""
    points = _space.grid(spec.space_of(study), base(spec, study), GRID_POINTS)
    settings = list(itertools.islice(points, MOST_POINTS))
    random.Random(spec.seed).shuffle(settings)
    return settings


def is_grid_point(spec: Spec, trial: Trial) -> bool:
    """Whether a trial is a point of the grid, and no other sampler's or the user's."""
    return spec.sampler_of(trial.number) == "grid" and not trial.enqueued


def first(
    spec: Spec, study: Study[Any, Any], before: list[Trial], grid: Callable[[], list[dict[str, Any]]]
) -> dict[str, Any]:
    """What is tried after the trials ``before`` without asking the sampler: all of the grid, or the study's own recipes.

    {} where there is nothing left.
    """
    if spec.sampler != "grid":
        return recipe(spec, study, sum(not trial.enqueued for trial in before))
    points, count = grid(), sum(is_grid_point(spec, trial) for trial in before)
    return points[count] if count < len(points) else {}


def recipe(spec: Spec, study: Study[Any, Any], index: int) -> dict[str, Any]:
    """The study's own recipe of that index; {} where it has no more: then the sampler chooses."""
    start, configs = base(spec, study), list[Any]()
    for change in _space.recipes(study.first, spec.fixed):
        config = start.model_copy(update=change)
        if config not in configs:  # what differs from one size of image may be the base of another
            configs.append(config)
    return _space.recipe(spec.space_of(study), configs[index]) if index < len(configs) else {}


def next_arm(comparison: Comparison, trials: list[Trial]) -> tuple[dict[str, Any], dict[str, int]]:
    """The settings of the arm that is next, and the user attributes of its trial."""
    arm, replicate = factorial.upcoming(factorial.begun(comparison, trials), comparison)
    return comparison.arms[arm].settings, {ARM: arm, REPLICATE: replicate}
