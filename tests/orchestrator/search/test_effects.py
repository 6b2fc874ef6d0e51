"""A plan says which of the settings that its user chose have no effect."""

from typing import Any, get_args

import pytest

import studies
from models.parts.effect import conditions, without_effect
from orchestrator.search import combinations, plan
from orchestrator.search.options import request
from tests.support.bench import Bench

SILENT: list[tuple[str, dict[str, Any], str]] = [
    ("ebm", {"set": ["rule=textbook", "step_size=5"]}, "step_size has no effect with rule=textbook"),
    (
        "conditional_ebm",
        {"set": ["rule=textbook", "coupled=true", "grad_clip=0.2"]},
        "coupled and grad_clip have no effect with rule=textbook",
    ),
    ("ebm", {"set": ["friction=2"]}, "friction has no effect with sampler=langevin"),
    ("ebm", {"set": ["buffer_size=100"], "fix": ["start=noise"]}, "buffer_size has no effect with start=noise"),
    ("gan", {"set": ["loss=hinge", "clip=0.02"]}, "clip has no effect with loss=hinge"),
    ("dvae", {"set": ["quantiser=gumbel", "decay=0.9"]}, "decay has no effect with quantiser=gumbel"),
    (
        "ebm",
        {"vary": ["step_size=5,10", "n_steps=10,20"], "set": ["rule=textbook"]},
        "step_size has no effect with rule=textbook, so arms that differ in it alone are the same",
    ),
    (
        "ebm",
        {"vary": ["rule=cold,textbook", "grad_clip=0.1,0.2", "step_size=10,20"], "set": ["noise_end=0.01"]},
        "step_size and grad_clip have no effect with rule=textbook, so arms that differ in them alone are the same",
    ),
]
SPEAKING: list[tuple[str, dict[str, Any]]] = [
    ("ebm", {"set": ["friction=2", "sampler=underdamped"]}),
    ("ebm", {"set": ["buffer_size=100"]}),  # some trials start from the buffer
    ("ebm", {"vary": ["sampler=langevin,underdamped"], "set": ["friction=2"]}),
    ("ebm", {"vary": ["rule=cold,textbook"], "arm": ["rule=cold,step_size=20"]}),
    ("jem", {"vary": ["sampler=langevin,proximal"], "arm": ["sampler=proximal,clamp=0.5"]}),
]


def notes(bench: Bench, study: str, options: dict[str, Any]) -> list[str]:
    spec = plan.resolve(request(study, name="asked", **options), bench.storage)
    return [note for note in combinations.notes(spec, studies.load(study)) if "no effect" in note]


@pytest.mark.parametrize(("study", "options", "sentence"), SILENT)
def test_a_setting_without_effect_is_named_once(
    bench: Bench, study: str, options: dict[str, Any], sentence: str
) -> None:
    assert sentence in notes(bench, study, options)
    assert str(notes(bench, study, options)).count(sentence.split()[0]) == 1


def test_a_race_says_by_which_of_two_objectives_arms_leave_it(bench: Bench) -> None:
    options: dict[str, Any] = {"vary": ["sampler=langevin,proximal"], "race": True, "seeds": 3}
    spec = plan.resolve(request("jem", name="asked", **options), bench.storage)
    study = studies.load("jem")
    assert len(study.objectives) == 2
    assert f"the race compares arms by {study.objectives[0].key} alone" in combinations.notes(spec, study)


@pytest.mark.parametrize(("study", "options"), SPEAKING)
def test_a_setting_that_some_trial_uses_is_not_named(bench: Bench, study: str, options: dict[str, Any]) -> None:
    assert notes(bench, study, options) == []


@pytest.mark.parametrize("name", studies.names())
def test_a_condition_names_a_setting_and_some_of_its_values(name: str) -> None:
    fields = studies.load(name).config.model_fields
    for needed in conditions(studies.load(name).config).values():
        for condition in needed:
            possible = get_args(fields[condition.setting].annotation)
            if fields[condition.setting].annotation is not str:
                assert set(condition.values) < {*possible} | {None}, condition


def test_a_setting_that_a_sweep_is_older_than_has_its_default() -> None:
    ebm = studies.load("ebm").config
    assert "step_size" not in without_effect(ebm, {"step_size": [10.0]})
    assert without_effect(ebm, {"step_size": [10.0], "rule": ["textbook"]})["step_size"] == "rule=textbook"
