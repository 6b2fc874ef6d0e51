"""What the trainer of every study says: numbers, steps that go forward, images in range, progress to its end."""

from pathlib import Path

import pytest

import studies
from models.env import Env
from models.events import Event, Scalars
from tests.support.playing import finished
from tests.support.promises import check
from tests.support.shapes import embedded, shape

TRAINED = [name for name in studies.names() if not studies.load(name).model_of]


def played(name: str, env: Env) -> list[Event]:
    """All that a trial of the smallest settings says."""
    study, events = studies.load(name), list[Event]()
    settings = study.base(shape(study)).model_dump() | dict(study.smallest)
    finished(study.play(study.config.model_validate(settings), env), events.append)
    return events


@pytest.mark.parametrize("name", TRAINED)
def test_what_a_trainer_says_holds_what_the_events_promise(name: str, cache_folder: Path) -> None:
    events = played(name, Env(embedded(studies.load(name)), seed=5, cache_folder=cache_folder))
    check(events)
    if studies.load(name).data_kind != "images":
        return
    images = studies.load(name).fresh.partition("/")[2]
    scores = {f"{score}/{images}" for score in ("fid", "kid", "precision", "recall", "density", "coverage")}
    scores |= {"fid/real", "distance/nearest_training", "distance/nearest_training_real"}
    scores |= {f"{score}{of}" for score in ("classes/entropy", "legibility/share") for of in ("", "_real")}
    said = {key for event in events if isinstance(event, Scalars) for key in event.values}
    assert scores <= said, "new images are measured alike in every family"
    assert "inception_weights" in studies.load(name).config.model_fields


@pytest.mark.parametrize("name", TRAINED)
def test_new_images_belong_to_no_step_and_are_as_many_as_asked(name: str, cache_folder: Path) -> None:
    study = studies.load(name)
    env, of_one = Env(embedded(study), seed=5, cache_folder=cache_folder), shape(study)
    config = study.config.model_validate(study.base(of_one).model_dump() | dict(study.smallest))
    assert study.restore and study.sample
    drawn = study.sample(config, env, study.restore(config, of_one).state_dict(), 12)
    size = of_one if study.data_kind == "images" else drawn.images.shape[1:]
    assert (drawn.step, drawn.key, drawn.images.shape) == (0, "samples/new", (12, *size))
    assert bool((drawn.images.abs() <= 1).all())
