"""What the table says of samplers and pruners is what Optuna does; the help and the documents show the table."""

import random
from collections.abc import Callable

import optuna
import pytest
from click.testing import CliRunner
from optuna.trial import TrialState

from orchestrator.cli.main import main
from orchestrator.search import capabilities, samplers
from orchestrator.search.capabilities import PRUNERS, SAMPLERS, STARTUP_TRIALS
from tests.support.paths import ROOT

COMMON = frozenset({"x", "y", "c"})
LEARNING = [name for name, sampler in SAMPLERS.items() if sampler.learns]
Space = Callable[[optuna.Trial], float]


def numbers(trial: optuna.Trial) -> float:
    return (trial.suggest_float("x", 0, 1) - 0.3) ** 2 + (trial.suggest_float("y", 0, 1) - 0.3) ** 2


def choices(trial: optuna.Trial) -> float:
    return float(trial.suggest_categorical("c", ["best", "good", "bad"]) != "best")


def branches(trial: optuna.Trial) -> float:
    value = numbers(trial)
    if trial.suggest_categorical("c", ["with", "without"]) == "with":
        value += trial.suggest_float("z", 0, 1)
    return value


def play(name: str, space: Space, trials: int, objectives: int = 1) -> optuna.Study:
    """Trials of Optuna's own study, each asked of a new sampler, as a sweep does."""
    study = optuna.create_study(directions=["minimize"] * objectives)
    for number in range(trials):
        study.sampler = samplers.sampler(name, number, COMMON)
        trial = study.ask()
        study.tell(trial, [space(trial)] * objectives)
    return study


def modelled(study: optuna.Study, name: str) -> set[str]:
    """The parameters that the sampler's model would choose for the next trial."""
    sampler = samplers.sampler(name, 0, COMMON)
    with samplers.quietly():
        trial = study.ask()
        frozen = study._storage.get_trial(trial._trial_id)
        return {*sampler.sample_relative(study, frozen, sampler.infer_relative_search_space(study, frozen))}


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_takes_as_many_objectives_as_the_table_says(name: str) -> None:
    play(name, numbers, 8)
    if SAMPLERS[name].objectives is None:
        play(name, numbers, 8, objectives=2)
    else:
        with pytest.raises(ValueError, match="multi-objective"):
            play(name, numbers, 8, objectives=2)


@pytest.mark.parametrize("name", LEARNING)
def test_a_sampler_models_the_parameters_that_the_table_says(name: str) -> None:
    sampler, trials = SAMPLERS[name], STARTUP_TRIALS + 3
    assert modelled(play(name, numbers, trials), name) == {"x", "y"}
    assert modelled(play(name, lambda trial: trial.suggest_float("x", 0, 1), trials), name) == {"x"}
    assert modelled(play(name, choices, trials), name) == ({"c"} if sampler.choices == "learned" else set())
    expected = {"x", "y"} | ({"c"} if sampler.choices == "learned" else set())
    expected |= {"z"} if sampler.branches == "learned" else set()
    assert modelled(play(name, branches, trials), name) == expected


@pytest.mark.parametrize("name", LEARNING)
def test_a_sampler_keeps_away_from_divergence_as_the_table_says(name: str) -> None:
    """Half of the range diverges. Which points are asked for next depends on that, or does not."""

    def next_point(diverged: bool) -> float:
        study = optuna.create_study()
        chance = random.Random(0)
        for _ in range(24):
            x, y = chance.random(), chance.random()
            study.enqueue_trial({"x": x, "y": y})
            study.sampler = samplers.sampler("random", 0, COMMON)
            trial = study.ask()
            value = numbers(trial)
            if x < 0.5:
                trial.set_constraint("infeasible", -1.0)
                study.tell(trial, value)
            elif diverged:
                trial.set_constraint("infeasible", 1.0)
                study.tell(trial, state=TrialState.PRUNED)
            else:
                study.tell(trial, state=TrialState.FAIL)
        study.sampler = samplers.sampler(name, 0, COMMON)
        trial = study.ask()
        numbers(trial)
        return float(trial.params["x"])

    with samplers.quietly():
        assert (next_point(True) != next_point(False)) == SAMPLERS[name].avoids


def test_cmaes_goes_on_learning_where_a_branch_appears_late() -> None:
    """Optuna's own would choose at random for ever once the number of common parameters has changed."""

    def late(trial: optuna.Trial) -> float:
        value = numbers(trial)
        return value + trial.suggest_float("z", 0, 1) if trial.number < STARTUP_TRIALS + 4 else value

    assert modelled(play("cmaes", late, STARTUP_TRIALS + 8), "cmaes") == {"x", "y"}


def test_gp_goes_on_where_another_program_has_completed_a_trial() -> None:
    """Such a trial has no constraint, and Optuna's own sampler wants as many of every trial."""
    study = optuna.create_study()
    for number in range(STARTUP_TRIALS + 2):
        study.sampler = samplers.sampler("gp", number, COMMON)
        trial = study.ask()
        if number != 3:
            trial.set_constraint("infeasible", -1.0)
        study.tell(trial, numbers(trial))
    assert modelled(study, "gp") == {"x", "y"}


@pytest.mark.parametrize("name", [name for name, pruner in PRUNERS.items() if name != "none"])
def test_a_pruner_acts_with_one_objective_and_enough_reports(name: str) -> None:
    def pruned(reports: int) -> int:
        study, count = optuna.create_study(study_name="reports", pruner=samplers.pruner(name)), 0
        for number in range(16):
            trial = study.ask()
            for index in range(1, reports):  # the last value is no reason to prune any more
                trial.report(float(number), index)
                if trial.should_prune():
                    count += 1
                    study.tell(trial, state=TrialState.PRUNED)
                    break
            else:
                trial.report(float(number), reports)
                study.tell(trial, float(number))
        return count

    earlier = PRUNERS[name].earlier
    assert pruned(earlier) == 0 < pruned(earlier + 1)
    two = optuna.create_study(directions=["minimize"] * 2)
    with pytest.raises(NotImplementedError, match="multi-objective"):
        two.ask().report(1.0, 1)


def test_the_help_and_a_document_show_the_table() -> None:
    lines = capabilities.text().splitlines()
    shown = CliRunner(env={"COLUMNS": "90"}).invoke(main, ["run", "--help"]).output
    document = (ROOT / "docs" / "searching.md").read_text()
    for line in filter(None, lines):
        assert f"  {line}\n" in shown and f"{line}\n" in document


def test_the_table_names_every_sampler_and_pruner_that_there_is() -> None:
    assert list(SAMPLERS) == list(samplers.SAMPLERS) and list(PRUNERS) == list(samplers.PRUNERS)
