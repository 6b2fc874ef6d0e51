"""Which temperature and limits draw the best images from a trained autoregressive model, and how much variety do they cost?"""

from models.autoregressive.frozen_sampling.config import Config
from studies import ImageShape, Objective, Section, Study, Suggest, later
from studies.parts.sections import SCORES


def base(shape: ImageShape) -> Config:
    """The model as it is."""
    return Config()


def space(suggest: Suggest, base: Config) -> Config:
    """From sharper to flatter than the model; ``top_k`` as far as patches of 2×2 binary pixels have tokens."""
    chosen = {
        "temperature": suggest.suggest_float("temperature", 0.5, 1.2),
        "top_k": suggest.suggest_int("top_k", 0, 16),
        "top_p": suggest.suggest_float("top_p", 0.5, 1.0),
    }
    return Config.model_validate(base.model_dump() | chosen)


STUDY = Study(
    question=__doc__,
    config=Config,
    base=base,
    space=space,
    train=later("models.autoregressive.frozen_sampling.training:train"),
    report=later("models.autoregressive.frozen_sampling.evaluation:report"),
    reports=lambda config: 1,
    objectives=(Objective("fid/fresh"), Objective("coverage/fresh", "maximize")),
    trials=30,
    sections=(
        SCORES,
        Section(
            "Legibility and likelihood",
            "Sharper sampling makes images easier to read and more alike. own_samples are the bits that the model itself, at "
            "temperature 1, gives to the images: only at temperature 1 without limits are they as many as of the model's own.",
            numbers=("legibility/", "classes/", "likelihood/"),
        ),
        Section("Cost", "Floating-point operations of one image: no setting changes them.", numbers=("cost/",)),
    ),
    sample=later("models.autoregressive.frozen_sampling.evaluation:draw"),
    smallest={"samples": 16, "temperature": 0.8},
    model_of=("image_gpt", "image_gpt_xxs", "bayes_net"),
    together=8,
    label="T {temperature:.2f}, top {top_k}, {top_p:.2f}",
)
