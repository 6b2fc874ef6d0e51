"""A search space looked at from outside: parameters, grids, fixed values."""

import random
from typing import Any

import optuna
import pytest
from pydantic import BaseModel, ValidationError, model_validator

from studies import StudyError, Suggest
from studies.parts import space as _space


class Config(BaseModel, frozen=True):
    kind: str = "plain"
    size: float = 1.0
    count: int = 3
    extra: float = 0.5

    @model_validator(mode="after")
    def _small(self) -> "Config":
        if self.size * self.count > 100:
            raise ValueError("size × count is above 100; lower one of them")
        return self


@pytest.mark.parametrize(
    ("changes", "held", "tried"),
    [
        ([{}, {"start": "noise"}], {}, [{}, {"start": "noise"}]),
        ([{}, {"start": "noise"}], {"start": "replay"}, [{"start": "replay"}]),
        ([{}, {"start": "noise"}], {"start": "noise"}, [{"start": "noise"}]),
        (
            [{"loss": "bce", "rate": 1.0, "n": 1}, {"loss": "hinge", "rate": 2.0, "n": 5}],
            {"rate": 3.0},
            [{"loss": "bce", "rate": 3.0, "n": 1}, {"loss": "hinge", "rate": 3.0, "n": 5}],
        ),
        (
            [{"loss": "bce", "rate": 1.0, "n": 1}, {"loss": "hinge", "rate": 2.0, "n": 5}],
            {"loss": "hinge", "rate": 3.0},
            [{"loss": "hinge", "rate": 3.0, "n": 5}],
        ),
        ([], {"rate": 3.0}, []),
    ],
)
def test_recipes_keep_what_is_held_and_are_those_that_lose_least_to_it(
    changes: list[dict[str, Any]], held: dict[str, Any], tried: list[dict[str, Any]]
) -> None:
    assert _space.recipes(changes, held) == tried


def space(suggest: Suggest, base: Config) -> Config:
    chosen: dict[str, Any] = {
        "kind": suggest.suggest_categorical("kind", ["plain", "rich"]),
        "size": suggest.suggest_float("size", 0.01, 10.0, log=True),
    }
    if chosen["kind"] == "rich":
        chosen["extra"] = suggest.suggest_float("extra", 0.0, 1.0)
    return Config.model_validate(base.model_dump() | chosen)


def test_describe_finds_the_parameters_of_all_branches() -> None:
    found = _space.describe(space, Config())
    assert list(found) == ["kind", "size", "extra"]
    assert found["kind"].choices == ("plain", "rich")
    assert (found["size"].low, found["size"].high, found["size"].log) == (0.01, 10.0, True)


def test_extremes_meet_every_choice_and_both_ends_of_every_number() -> None:
    configs = list(_space.extremes(space, Config()))
    assert {config.kind for config in configs} == {"plain", "rich"}
    assert sorted({round(config.size, 9) for config in configs}) == [0.01, 10.0]
    assert {config.extra for config in configs if config.kind == "rich"} == {0.0, 1.0}
    assert {config.extra for config in configs if config.kind == "plain"} == {0.5}, "of another branch"


def test_describe_refuses_a_base_that_the_space_cannot_vary() -> None:
    with pytest.raises(StudyError, match="size × count is above 100"):
        _space.describe(space, Config(count=50))


def test_a_refused_setting_is_one_sentence_with_its_name_and_value() -> None:
    with pytest.raises(ValidationError) as of_a_field:
        Config.model_validate({"size": "large"})
    assert _space.sentence(of_a_field.value).startswith("size=large: Input should be a valid number")
    with pytest.raises(ValidationError) as of_the_whole:
        Config(count=200)
    assert _space.sentence(of_the_whole.value) == "size × count is above 100; lower one of them"


def test_grid_gives_each_branch_its_own_parameters_and_no_point_twice() -> None:
    points = list(_space.grid(space, Config(), 3))
    assert len(points) == 3 + 3 * 3
    assert all(("extra" in point) == (point["kind"] == "rich") for point in points)
    assert len({tuple(sorted(point.items())) for point in points}) == len(points)
    assert sorted({point["size"] for point in points}) == pytest.approx([0.01, 0.1**0.5, 10.0])


def test_fixed_parameters_keep_their_value_and_their_branch() -> None:
    fixed = _space.fix(space, {"kind": "rich", "extra": 0.25})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        config = fixed(study.ask(), Config())
        assert (config.kind, config.extra) == ("rich", 0.25)
    assert set(_space.describe(fixed, Config())) == {"kind", "size", "extra"}


def test_recipe_is_the_base_itself() -> None:
    assert _space.recipe(space, Config(size=2.0)) == {"kind": "plain", "size": 2.0}
    assert _space.recipe(space, Config(kind="rich")) == {"kind": "rich", "size": 1.0, "extra": 0.5}


def test_recipe_outside_the_space_is_none() -> None:
    assert _space.recipe(space, Config(size=11.0, count=1)) == {}


@pytest.mark.parametrize(
    ("parameter", "text", "value"),
    [
        (_space.Parameter("float", 0, 2), "1.5", 1.5),
        (_space.Parameter("int", 0, 5), "5", 5),
        (_space.Parameter("categorical", choices=(True, False)), "true", True),
        (_space.Parameter("categorical", choices=("a", "b")), "b", "b"),
    ],
)
def test_values_are_read_as_what_they_are(parameter: _space.Parameter, text: str, value: Any) -> None:
    assert parameter.parse("p", text) == value


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        (_space.Parameter("float", 0, 2), "2.5"),
        (_space.Parameter("float", 0, 2), "nan"),
        (_space.Parameter("float", 0, 2), "many"),
        (_space.Parameter("int", 0, 5), "1.5"),
        (_space.Parameter("categorical", choices=("a", "b")), "c"),
    ],
)
def test_values_outside_are_refused_with_the_range(parameter: _space.Parameter, text: str) -> None:
    with pytest.raises(StudyError, match=r"p=.* is outside the search space; p may be "):
        parameter.parse("p", text)


@pytest.mark.parametrize("log", [False, True])
def test_a_range_of_one_number_is_one_point_of_a_grid(log: bool) -> None:
    """A held parameter is such a range; rounding in a logarithm must make no second point of it."""
    for points in (1, 2, 3, 25):
        assert _space.Parameter("float", 10.0, 10.0, log=log).grid(points) == [10.0]


def test_whole_numbers_stay_whole_on_a_grid() -> None:
    values = _space.Parameter("int", 1, 10, log=True).grid(4)
    assert values == [1, 2, 5, 10]
    assert random.Random(0).choice(values) in range(1, 11)
