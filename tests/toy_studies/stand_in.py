"""The toy study with two settings of `ebm`, so that what the docs say to a sweep of that can be said to one of this."""

from dataclasses import replace

from pydantic import Field

from studies import ImageShape, Suggest
from tests.toy_studies import quadratic


class Config(quadratic.Config, frozen=True, extra="forbid"):
    """With settings that change nothing."""

    step_size: float = Field(10.0, gt=0)
    n_steps: int = Field(10, ge=1)


def base(shape: ImageShape) -> Config:
    return Config()


def space(suggest: Suggest, base: Config) -> Config:
    chosen = {
        "x": suggest.suggest_float("x", -1.0, 1.0),
        "step_size": suggest.suggest_float("step_size", 2.0, 30.0, log=True),
        "n_steps": suggest.suggest_int("n_steps", 10, 40, log=True),
    }
    return base.model_copy(update=chosen)


STUDY = replace(quadratic.STUDY, config=Config, base=base, space=space)  # type: ignore[arg-type]
