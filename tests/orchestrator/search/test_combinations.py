"""Every sampler and pruner with every study, on real Optuna: what does not fit is refused, all else plays its trials."""

import json
from pathlib import Path

import pytest

import studies
from orchestrator.search.capabilities import PRUNERS, SAMPLERS
from tests.support import combinations
from tests.support.combinations import TRIALS

TWO_OBJECTIVES = (
    "jem",
    "dvae",
    "ebm_sampling",
    "autoregressive_sampling",
    "diffusion_sampling",
    "flow_sampling",
    "vae_rate_distortion",
)
POINTS = {"fashion_003": 3}  # of a space with fewer than there are trials
ACTING = {"median", "asha", "hyperband"}
IMPOSSIBLE = {  # with two objectives; there the default pruner becomes none
    (sampler, pruner)
    for sampler in SAMPLERS
    for pruner in PRUNERS
    if sampler == "cmaes" or pruner in ACTING - {"median"}
}

ON_A_GRID = {"vae_rate_distortion": 3}  # points, where one number is searched
WITHOUT_NUMBERS = {("cmaes", pruner) for pruner in PRUNERS}  # it searches numbers, and there are choices alone


@pytest.mark.parametrize("study", studies.names())
def test_every_combination_is_refused_or_plays_its_trials(folder: Path, study: str) -> None:
    refused, pruned = set(), set()
    for played in combinations.play(study, combinations.storage()):
        if played.book is None:
            assert "; take --" in played.refusal
            refused.add((played.sampler, played.pruner))
            continue
        finished = played.book.finished()
        n_points = POINTS.get(study, TRIALS)
        if played.sampler == "grid":
            n_points = ON_A_GRID.get(study, n_points)
        total = n_points if played.sampler == "grid" else TRIALS
        assert len(finished) == total == played.book.total() and not played.book.trials_running()
        settings = {json.dumps(trial.params, sort_keys=True) for trial in finished}
        assert len(settings) == n_points, "all are different"
        if any(trial.outcome == "pruned" for trial in finished):
            pruned.add(played.book.spec.pruner)
    impossible = IMPOSSIBLE if study in TWO_OBJECTIVES else set()
    assert refused == (WITHOUT_NUMBERS if study in POINTS else impossible)
    assert pruned == (set() if study in TWO_OBJECTIVES else ACTING)
