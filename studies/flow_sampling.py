"""Which temperature, coarse and fine, draws the best images from a trained flow, and how much variety does it cost?"""

from models.flow.frozen_sampling.config import Config
from studies import ImageShape, Objective, Section, Study, Suggest, later
from studies.parts.sections import SCORES


def base(shape: ImageShape) -> Config:
    """The model as it is."""
    return Config()


def space(suggest: Suggest, base: Config) -> Config:
    """From half of the model's noise to more than it has."""
    chosen = {
        "temperature": suggest.suggest_float("temperature", 0.5, 1.2),
        "fine_temperature": suggest.suggest_float("fine_temperature", 0.3, 1.2),
    }
    return Config.model_validate(base.model_dump() | chosen)


STUDY = Study(
    question=__doc__,
    config=Config,
    base=base,
    space=space,
    train=later("models.flow.frozen_sampling.training:train"),
    report=later("models.flow.frozen_sampling.evaluation:report"),
    reports=lambda config: 1,
    objectives=(Objective("fid/fresh"), Objective("coverage/fresh", "maximize")),
    trials=30,
    sections=(
        SCORES,
        Section(
            "Legibility and likelihood",
            "Cooled noise makes images smoother and more alike. own_samples are the bits that the flow itself, at temperature 1, "
            "gives to the images: cooled ones have fewer than any of the data, and are likelier than all of them.",
            numbers=("legibility/", "classes/", "likelihood/"),
        ),
    ),
    sample=later("models.flow.frozen_sampling.evaluation:sample"),
    smallest={"samples": 16, "temperature": 0.8},
    model_of=("flow", "residual_flow"),
    label="T {temperature:.2f}, fine {fine_temperature:.2f}",
)
