"""How close does x come to 0.3, and how few steps does that take? The toy study with two objectives."""

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

from models.env import Env
from models.events import Event, Scalars
from studies import ImageShape, Objective, Suggest
from tests.toy_studies import quadratic
from tests.toy_studies.quadratic import Config


def space(suggest: Suggest, base: Config) -> Config:
    chosen = {"x": suggest.suggest_float("x", -1.0, 1.0), "steps": suggest.suggest_int("steps", 2, 6)}
    return base.model_copy(update=chosen)


def base(shape: ImageShape) -> Config:
    return Config()


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, None, Config]:
    for event in quadratic.train(config, env, resume):
        if isinstance(event, Scalars) and "distance" in event.values:
            event = Scalars(event.step, {**event.values, "effort": float(event.step)})
        yield event
    return config


STUDY = replace(
    quadratic.STUDY,
    question=__doc__ or "",
    base=base,
    space=space,
    train=train,
    objectives=(Objective("distance"), Objective("effort")),
)
