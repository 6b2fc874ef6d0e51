"""Which Langevin settings train an energy-based model that samples well from noise?"""

from typing import Any

from models.ebm.config import Config
from studies import ImageShape, Objective, Section, Study, Suggest, later
from studies.parts.sections import CHAINS, NEIGHBOURS, OUTLIERS, SCORES


def base(shape: ImageShape) -> Config:
    """By the size of the images: measured on digits of 8×8 and 28×28 and on 32×32 colour, each for one processor core.

    What a GPU can do at 32×32 is ``benchmarks/published_ebm.py``.
    """
    side = max(shape[1:])
    if side <= 16:
        return Config(n_steps=10, learning_rate=3e-3, network_evaluations=20_000)
    if side <= 28:
        small = Config(blocks=3, batch_size=32, learning_rate=3e-3, network_evaluations=30_000)
        return small.model_copy(update={"precision": "auto"})
    return Config(
        blocks=9,
        precision="auto",
        step_size=20.0,
        n_steps=10,
        fresh_share=0.2,
        buffer_size=256,
        penalised_samples="below_zero",
        noised="both",
        batch_size=128,
        n_chains=32,
        learning_rate=4e-4,
        network_evaluations=60_000,
    )


def space(suggest: Suggest, base: Config) -> Config:
    """Around the published recipes (Du and Mordatch 2019; Grathwohl et al. 2019), all colder than temperature 1.

    The shortest chain of the smallest steps can still carry a pixel across the data range: 0.1 × 2 × 10 = 2.
    With rule=textbook ε takes the place of step size and noise, and the energy needs room to fall far.
    """
    textbook = base.rule == "textbook"
    most_start, most_end, least_alpha = (1.0, 1e-1, 1e-5) if textbook else (5e-2, 2e-3, 1e-2)
    chosen: dict[str, Any] = {}
    if not textbook:
        chosen["step_size"] = suggest.suggest_float("step_size", 2.0, 30.0, log=True)
    chosen |= {
        "n_steps": suggest.suggest_int("n_steps", max(10, base.n_steps // 2), max(40, base.n_steps * 2), log=True),
        "start": suggest.suggest_categorical("start", ["noise", "replay"]),
        "schedule": suggest.suggest_categorical("schedule", ["constant", "geometric", "linear", "cosine"]),
        "noise_start": suggest.suggest_float("noise_start", 2e-3, most_start, log=True),
        "learning_rate": suggest.suggest_float("learning_rate", 3e-4, 6e-3, log=True),
        "energy_regularisation": suggest.suggest_float("energy_regularisation", least_alpha, 1.0, log=True),
    }
    if chosen["schedule"] != "constant":
        chosen["noise_end"] = suggest.suggest_float("noise_end", 5e-4, most_end, log=True)
        if not textbook:
            chosen["coupled"] = suggest.suggest_categorical("coupled", [False, True])
    return Config.model_validate(base.model_dump() | chosen)


STUDY = Study(
    question=__doc__,
    config=Config,
    base=base,
    space=space,
    train=later("models.ebm.training:train"),
    report=later("models.ebm.evaluation:report"),
    reports=lambda config: config.evaluations,
    check=later("models.ebm.training:check"),
    objectives=(Objective("fid/fresh"),),
    first=({}, {"start": "noise"}),  # both ways to begin a chain are tried, whatever the sampler's luck
    label="{n_steps} steps",
    charts=("energy/gap", "chain/saturation"),
    restore=later("models.ebm.networks:network"),
    workload=later("models.ebm.networks:workload"),
    heat_map=("step_size", "n_steps", "start"),
    sections=(
        SCORES,
        CHAINS,
        NEIGHBOURS,
        OUTLIERS,
        Section(
            "Likelihood",
            "Likelihood of validation images, with log Z estimated from below and from above, at temperature 1 and at the "
            "best-fitting temperature (setting annealing_temperatures). If the two estimates differ much, trust neither.",
            pictures=("likelihood/temperature",),
            numbers=("likelihood/", "likelihood_fitted/"),
        ),
    ),
    sample=later("models.ebm.evaluation:draw"),
    smallest={
        "blocks": 1,
        "width": 4,
        "n_steps": 10,
        "evaluation_samples": 32,
        "evaluations": 2,
        "buffer_size": 100,
        "network_evaluations": 144,
    },
)
