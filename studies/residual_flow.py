"""Which estimate of the log-determinant trains a residual flow best, with what bias and at what cost?"""

from typing import Any

from models.flow.config import Config
from studies import ImageShape, Section, Suggest
from studies._flow import SECTIONS, SMALLEST, study


def base(shape: ImageShape) -> Config:
    """By the size of the images: measured at 8×8 on one processor core; larger ones are for a GPU."""
    side = max(shape[1:])
    if side <= 16:
        return Config(
            blocks="residual",
            scales=1,
            steps=0,
            logit=0.01,
            learning_rate=3e-3,
            updates=800,
            likelihood_images=1_000 if side <= 8 else 200,
            background_updates=0,
        )
    return Config(
        blocks="residual",
        scales=3 if side % 4 == 0 else 1,
        steps=8,
        width=128,
        dense_steps=4,
        logit=1e-6,
        learning_rate=1e-3,
        updates=50_000,
        evaluation_samples=500,
        background_updates=0,
    )


def space(suggest: Suggest, base: Config) -> Config:
    """How contractive the blocks are, how their log-determinants are estimated, and how the flow learns."""
    chosen: dict[str, Any] = {
        "coefficient": suggest.suggest_float("coefficient", 0.5, 0.99),
        "exact_terms": suggest.suggest_int("exact_terms", 1, 10, log=True),
        "tail": suggest.suggest_categorical("tail", ["geometric", "poisson", "none"]),
        "probes": suggest.suggest_int("probes", 1, 4),
        "dense_steps": suggest.suggest_int("dense_steps", 4, max(12, base.dense_steps)),
        "hidden": suggest.suggest_int("hidden", 64, max(256, base.hidden), log=True),
        "learning_rate": suggest.suggest_float("learning_rate", 5e-4, 6e-3, log=True),
    }
    if chosen["tail"] != "none":
        chosen["tail_terms"] = suggest.suggest_float("tail_terms", 0.5, 4.0, log=True)
    return Config.model_validate(base.model_dump() | chosen)


ESTIMATES = Section(
    "The log-determinant: exact and estimated",
    "Training estimates the log-determinant of each block by a series; evaluation computes it exactly, so no trial wins by an "
    "estimate. logdet/bias is the mean of the estimate of training minus the exact value, logdet/deviation its spread for one "
    "image, both in bits per dimension and in closed form from Jacobians; …_of_draws are of estimates that were really drawn. "
    "The pictures have the same for every estimator, over the terms that are always computed: a cut series is biased, a tail "
    "by Russian roulette is not and costs spread. residual/layer_norm is the largest norm of a layer, logdet/jacobian_norm that "
    "of a whole block, which is what bias and spread depend on. residual/inverse_evaluations are those of the fixed point.",
    pictures=("logdet/bias_by_terms", "logdet/deviation_by_terms"),
    numbers=("logdet/", "residual/"),
)
STUDY = study(
    __doc__,
    base,
    space,
    "{coefficient}, {exact_terms} terms, tail {tail}, {probes} probes",
    first=({}, {"tail": "none", "exact_terms": 1}),
    smallest={"blocks": "residual", **SMALLEST, "scales": 1, "steps": 0, "dense_steps": 1, "depth": 0, "hidden": 8},
    sections=(ESTIMATES, *SECTIONS),
)
