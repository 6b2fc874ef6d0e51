"""--set holds every setting that a study searches, at any value that its config may have."""

import itertools
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

import studies
from orchestrator.search import plan
from studies import StudyError
from studies.parts import space as _space

SHAPE = (1, 28, 28)
BRANCHES = 200  # of a space, at most, that are looked at


def recipe(name: str) -> BaseModel:
    study = studies.load(name)
    base: BaseModel = study.base(SHAPE)
    return base.model_copy(update={"model": "a folder"} if study.model_of else {})


SEARCHED = [(name, key) for name in studies.names() for key in _space.describe(studies.load(name).space, recipe(name))]


def legal(base: BaseModel, key: str, value: Any) -> bool:
    try:
        type(base).model_validate(base.model_dump() | {key: value})
    except ValidationError:
        return False
    return True


def outside(base: BaseModel, key: str, parameter: _space.Parameter) -> Iterator[Any]:
    """Values that the search does not choose and the config may have."""
    kinds = [kind for kind in get_args(type(base).model_fields[key].annotation)]
    others = [*kinds, *(value for kind in kinds for value in get_args(kind)), None]
    if parameter.kind == "categorical":
        candidates = [value for value in others if isinstance(value, str) or value is None]
    elif parameter.kind == "int":
        candidates = [0, 1, 2, int(parameter.high) * 2, None]
    else:
        candidates = [0.0, parameter.low / 3, parameter.high * 3, None]
    yield from (value for value in candidates if not parameter.includes(value) and legal(base, key, value))


def configs(base: BaseModel, space: Any) -> Iterator[BaseModel]:
    """A configuration of each branch of the search."""
    for point in itertools.islice(_space.grid(space, base, 1), BRANCHES):
        yield space(_space._Suggest(lambda name, _, point=point: point[name]), base)


@pytest.mark.parametrize(("name", "key"), SEARCHED)
def test_a_searched_setting_is_held_at_any_value_of_its_config(name: str, key: str) -> None:
    study, base = studies.load(name), recipe(name)
    parameter = _space.describe(study.space, base)[key]
    inside = [value for value in parameter.grid(3) if legal(base, key, value)]
    for value in [*inside, *outside(base, key, parameter)]:
        try:
            settled = plan.settings([text(key, value)], [], study, base)
            assert settled.fixed == {key: value}
            _space.describe(settled.space(study), base)
        except StudyError as error:  # what it does not go with can be held as well
            assert "the search space holds settings that cannot work: " in str(error)
            others = [text(name, getattr(base, name)) for name in _space.describe(study.space, base) if name != key]
            settled = plan.settings([text(key, value), *others], [], study, base)
        for config in configs(settled.base, settled.space(study)):
            assert getattr(config, key) == value, config
    for value in inside:
        assert plan.settings([], [text(key, value)], study, base).fixed == {key: value}


def text(key: str, value: Any) -> str:
    return f"{key}={'none' if value is None else value}"


def test_a_setting_that_goes_with_what_is_held_alone_can_be_set() -> None:
    """Batch normalisation does not go with a gradient penalty, which the study searches beside the loss that is held."""
    study, base = studies.load("wgan"), recipe("wgan")
    settled = plan.settings(["loss=wgan", "critic_norm=batch", "n_critic=5"], [], study, base)
    assert settled.fixed == {"loss": "wgan", "n_critic": 5}
    assert {config.critic_norm for config in configs(settled.base, settled.space(study))} == {"batch"}  # type: ignore[attr-defined]
