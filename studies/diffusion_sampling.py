"""Which sampler, in how many steps, draws the best images from a trained diffusion model, and at what cost?"""

from typing import Any

from models.diffusion.frozen_sampling.config import Config
from models.diffusion.sampling import SAMPLERS
from studies import ImageShape, Objective, Section, Study, Suggest, later
from studies._diffusion import REDRAWN
from studies.parts.sections import SCORES

MOST_STEPS = 200


def base(shape: ImageShape) -> Config:
    """The defaults; what the network was trained with takes their place."""
    return Config()


def space(suggest: Suggest, base: Config) -> Config:
    """Every sampler, from 3 steps; guidance where the network knows labels."""
    most = min(MOST_STEPS, base.timesteps)
    chosen: dict[str, Any] = {
        "sampler": suggest.suggest_categorical("sampler", list(SAMPLERS)),
        "steps": suggest.suggest_int("steps", min(3, most), most, log=True),
        "spacing": suggest.suggest_categorical("spacing", ["uniform", "quadratic", "log_snr"]),
        "clip": suggest.suggest_categorical("clip", ["on", "off", "quantile"]),
    }
    if chosen["sampler"] in ("ddim", "corrected"):
        chosen["eta"] = suggest.suggest_float("eta", 0.0, 1.0)
    if chosen["sampler"] == "corrected":
        chosen["corrector_size"] = suggest.suggest_float("corrector_size", 0.01, 0.5, log=True)
    if base.labels:
        chosen["guidance"] = suggest.suggest_float("guidance", 0.0, 6.0)
    return Config.model_validate(base.model_dump() | chosen)


STUDY = Study(
    question=__doc__,
    config=Config,
    base=base,
    space=space,
    train=later("models.diffusion.frozen_sampling.training:train"),
    report=later("models.diffusion.frozen_sampling.evaluation:report"),
    reports=lambda config: 1,
    objectives=(Objective("fid/fresh"), Objective("cost/network_evaluations")),
    trials=60,
    sections=(
        SCORES,
        Section(
            "Cost",
            "Evaluations of the network for an image: the second objective. Heun's method takes two a step, but for the last; a "
            "corrector and guidance double them.",
            numbers=("cost/",),
        ),
    ),
    sample=later("models.diffusion.frozen_sampling.evaluation:sample"),
    redrawn=REDRAWN,
    smallest={"steps": 3, "samples": 16, "timesteps": 20},
    model_of=("diffusion", "ddpm_004"),
    label="{sampler}, {steps} steps, {spacing}",
    heat_map=("steps", "eta", "spacing"),
)
