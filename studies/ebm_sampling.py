"""Which sampler and settings draw the best images from a trained energy, and at what cost?"""

from dataclasses import replace

from models.ebm.frozen_sampling.config import SEARCHED, Config
from studies import ImageShape, Objective, Section, Study, Suggest, later
from studies.parts.sections import CHAINS, SCORES


def base(shape: ImageShape) -> Config:
    """The defaults; what the network was trained with takes their place."""
    return Config()


def space(suggest: Suggest, base: Config) -> Config:
    """Two decades of step sizes and of chain lengths around those that energies are trained with; every sampler with a law."""
    chosen = {
        "sampler": suggest.suggest_categorical("sampler", list(SEARCHED)),
        "step_size": suggest.suggest_float("step_size", 1.0, 100.0, log=True),
        "n_steps": suggest.suggest_int("n_steps", 5, 400, log=True),
        "schedule": suggest.suggest_categorical("schedule", ["constant", "geometric", "linear", "cosine"]),
        "noise_start": suggest.suggest_float("noise_start", 1e-3, 1e-1, log=True),
    }
    if chosen["schedule"] != "constant":
        chosen["noise_end"] = suggest.suggest_float("noise_end", 1e-4, 1e-3, log=True)
        chosen["coupled"] = suggest.suggest_categorical("coupled", [False, True])
    return Config.model_validate(base.model_dump() | chosen)


STUDY = Study(
    question=__doc__,
    config=Config,
    base=base,
    space=space,
    train=later("models.ebm.frozen_sampling.training:train"),
    report=later("models.ebm.frozen_sampling.evaluation:report"),
    reports=lambda config: 1,
    objectives=(Objective("fid/fresh"), Objective("cost/network_evaluations")),
    trials=100,
    sections=(
        SCORES,
        replace(CHAINS, pictures=("chain/schedule", "chain/energy")),  # hundreds of settings: their ends are enough
        Section(
            "Cost",
            "Evaluations of the network and its gradient per chain: the second objective.",
            numbers=("cost/",),
        ),
    ),
    sample=later("models.ebm.frozen_sampling.evaluation:draw"),
    smallest={"n_steps": 12, "samples": 16, "noise_start": 0.02},
    model_of=("ebm",),
    together=32,
    label="{sampler}, {n_steps} steps",
    heat_map=("step_size", "n_steps", "schedule"),
)
