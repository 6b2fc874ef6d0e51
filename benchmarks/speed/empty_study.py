"""What does a trial cost whose trainer does nothing, or sleeps?"""

import time
from collections.abc import Generator, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from models.env import Env
from models.events import Event, Scalars
from studies import ImageShape, Objective, Study, Suggest


class Config(BaseModel, frozen=True, extra="forbid"):
    """Two numbers to search, so that the sampler and every figure of a sweep have work."""

    x: float = 0.5
    y: float = 0.5
    seconds: float = 0.0  # that a trial sleeps


def base(shape: ImageShape) -> Config:
    """The same for images of any shape."""
    return Config()


def space(suggest: Suggest, base: Config) -> Config:
    """A square."""
    return base.model_copy(update={name: suggest.suggest_float(name, -1, 1) for name in ("x", "y")})


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, None, None]:
    """One number, at once or when the time is over."""
    time.sleep(config.seconds)
    yield Scalars(1, {"distance": (config.x - 0.3) ** 2 + config.y**2})


def report(result: None, env: Env) -> Iterator[Event]:
    """Nothing to look at."""
    yield from ()


STUDY = Study(
    question=__doc__ or "",
    config=Config,
    base=base,
    space=space,
    train=train,
    report=report,
    objectives=(Objective("distance"),),
)
