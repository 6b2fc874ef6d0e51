"""What every study promises; a new one is found here by its file."""

import dataclasses
import random
import subprocess
import sys
from typing import Any

import pytest
import torch

import studies
from models.events import Scalars
from studies import Study, StudyError, later
from studies.parts import space as _space
from studies.parts.later import Later
from tests.support.shapes import shapes

EVERY = [(study, shape) for study in studies.names() for shape in shapes(studies.load(study)).values()]


@pytest.fixture(params=studies.names())
def study(request: pytest.FixtureRequest) -> Study[Any, Any]:
    return studies.load(request.param)


@pytest.mark.parametrize(("name", "shape"), EVERY)
def test_the_space_holds_only_settings_that_work(name: str, shape: tuple[int, ...]) -> None:
    """Drawn at random many times: the config's own validation would raise."""
    study = studies.load(name)
    base = study.base(shape)
    found = _space.describe(study.space, base)
    chance = random.Random(0)
    for _ in range(300):
        suggest = _space._Suggest(lambda name, parameter: chance.choice(parameter.grid(50)))
        config = study.space(suggest, base)
        assert set(suggest.parameters) <= set(found)
        assert study.config.model_validate(config.model_dump(mode="json")) == config, "a config survives JSON"


@pytest.mark.parametrize(("name", "shape"), EVERY)
def test_parameters_are_named_as_the_fields_that_they_set(name: str, shape: tuple[int, ...]) -> None:
    study = studies.load(name)
    base = study.base(shape)
    for point in _space.grid(study.space, base, 2):
        config = study.space(_space._Suggest(lambda name, parameter, point=point: point[name]), base)
        assert {name: getattr(config, name) for name in point} == point


@pytest.mark.parametrize(("name", "shape"), EVERY)
def test_what_is_tried_first_lies_in_the_space(name: str, shape: tuple[int, ...]) -> None:
    study = studies.load(name)
    for change in study.first:
        recipe = _space.recipe(study.space, study.base(shape).model_copy(update=change))
        assert recipe.items() >= change.items()


def test_the_champion_can_be_kept_and_takes_any_number_of_inputs(study: Study[Any, Any]) -> None:
    """As MLflow keeps it: exported with an example of its input, two of them, whose number is free."""
    if study.restore is None:
        assert study.model_of, "a study without a network to keep begins with a trained one"
        pytest.skip("it trains no network")
    shape = next(iter(shapes(study).values()))
    config = study.base(shape)
    network = study.restore(config, shape).eval()
    takes = study.takes(config, shape)
    free = [{0: torch.export.Dim.AUTO}]
    exported = torch.export.export(network, (torch.zeros(2, *takes),), dynamic_shapes=free).module()
    inputs = torch.rand(5, *takes)
    with torch.no_grad():
        torch.testing.assert_close(exported(inputs), network(inputs))


def test_what_a_study_names_is_there(study: Study[Any, Any]) -> None:
    """A misspelt name is found here, not when a sweep trains."""
    named = [value for value in vars(study).values() if isinstance(value, Later)]
    assert named
    for reference in named:
        assert callable(reference.resolve())


def test_a_name_that_is_not_there_is_refused() -> None:
    with pytest.raises(StudyError, match="models.env has no function 'trian'; correct the place 'models.env:trian'"):
        later("models.env:trian")(1)
    with pytest.raises(StudyError, match="'models.env.train' names no function; write package.module:function"):
        later("models.env.train")


def test_question_and_objectives(study: Study[Any, Any]) -> None:
    assert study.question.strip().endswith("?")
    assert study.objectives
    for objective in study.objectives:
        assert objective.read(Scalars(1, {objective.key: 2.0})) == 2.0
        assert objective.read(Scalars(1, {"other": 2.0})) is None


def test_an_unknown_study_is_refused_with_the_near_miss() -> None:
    with pytest.raises(StudyError, match="no study 'ebn'; did you mean ebm"):
        studies.load("ebn")


def test_a_file_without_a_study_is_refused(tmp_path: Any) -> None:
    file = tmp_path / "mine.py"
    file.write_text("x = 1\n")
    with pytest.raises(StudyError, match="defines no STUDY"):
        studies.load(str(file))
    with pytest.raises(StudyError, match="there is no file"):
        studies.load(str(tmp_path / "absent.py"))


def test_listing_imports_no_study() -> None:
    code = "import sys, studies; studies.names(); assert not any(m.startswith('studies.ebm') for m in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_smallest_settings_are_settings_of_the_study() -> None:
    study = studies.load("ebm")
    with pytest.raises(StudyError, match="the smallest settings of a study are its own, and widht is none"):
        dataclasses.replace(study, smallest={"widht": 4})
