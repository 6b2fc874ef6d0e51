"""Fronts and knees by hand; that the pictures can be drawn at all."""

import optuna
import pytest

from orchestrator.analysis.pareto import front, knee
from orchestrator.figures.canvas import pixels
from orchestrator.figures.tradeoff import heat_map, trade_off
from orchestrator.search.trials import from_optuna

LOWER = (1, 1)


def test_a_front_by_hand() -> None:
    points = [(5.0, 1.0), (4.0, 2.0), (4.5, 3.0), (1.0, 9.0), (1.0, 8.0), (6.0, 1.0)]
    assert front(points, LOWER) == [0, 1, 4]
    assert front([(x, -y) for x, y in points], (1, -1)) == [0, 1, 4], "where more of the second is better"


def test_a_knee_by_hand() -> None:
    assert knee([(10.0, 1.0), (2.0, 2.0), (1.0, 10.0)], LOWER) == 1
    assert knee([(10.0, 1.0), (5.5, 5.5), (1.0, 10.0)], LOWER) is None, "a straight line has none"
    assert knee([(10.0, 1.0), (1.0, 10.0)], LOWER) is None
    decades = [(1000.0, 1.0), (20.0, 10.0), (10.0, 100.0), (9.0, 1000.0)]
    assert knee(decades, LOWER) == 1, "on logarithmic axes"


@pytest.mark.parametrize("n", [0, 1, 2, 30])
def test_pictures_are_drawn_as_soon_as_there_is_something_to_draw(n: int) -> None:
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=optuna.samplers.RandomSampler(seed=0))

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        size, steps = trial.suggest_float("size", 1, 100, log=True), trial.suggest_int("steps", 5, 400, log=True)
        shape = trial.suggest_categorical("shape", ["constant", "linear"])
        return 100 / steps + size + (shape == "linear"), steps

    study.optimize(objective, n_trials=n)
    trials = [from_optuna(trial) for trial in study.trials]
    compared = trade_off(trials, ("fid", "cost"), LOWER)
    mapped = heat_map(trials, "fid", 1, ("size", "steps", "shape"))
    assert (compared is None) == (n < 2) == (mapped is None)
    if compared is not None and mapped is not None:
        assert pixels(compared).shape == (500, 800, 3)
        assert pixels(mapped).shape[0] == 400 and pixels(mapped).std() > 10
