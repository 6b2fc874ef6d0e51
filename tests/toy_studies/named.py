"""How close does x come to 0.3? A toy study that names its functions, as ours do, so it is listed without torch."""

from pydantic import BaseModel, Field

from studies import ImageShape, Objective, Section, Study, Suggest, later


class Config(BaseModel, frozen=True, extra="forbid"):
    """Where to stand, and how long to take."""

    x: float = Field(0.5, ge=-10, le=10)
    steps: int = Field(5, ge=1)


def base(shape: ImageShape) -> Config:
    return Config()


def space(suggest: Suggest, base: Config) -> Config:
    return base.model_copy(update={"x": suggest.suggest_float("x", -1.0, 1.0)})


STUDY = Study(
    question=__doc__ or "",
    config=Config,
    base=base,
    space=space,
    train=later("tests.toy_studies.named_training:train"),
    report=later("tests.toy_studies.named_training:report"),
    objectives=(Objective("distance"),),
    sections=(Section("Distances", "How far from 0.3 it ends.", ("samples/fresh",), ("distance",)),),
    sample=later("tests.toy_studies.named_training:draw"),
    label="x = {x:.2f}",
    trials=6,
)
