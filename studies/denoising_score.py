"""Which noise must an energy learn to take away, and which Langevin settings then sample it well?"""

from typing import Any

from models.ebm.config import Config
from studies import ImageShape, Suggest
from studies import _ebm as contrastive
from studies._ebm import study


def base(shape: ImageShape) -> Config:
    """By the size of the images: measured on digits of 8×8, for one processor core."""
    recipe: dict[str, Any] = {
        "objective": "denoising_score",
        "start": "noise",
        "schedule": "geometric",
        "step_size": 0.8,
        "grad_clip": None,
        "n_steps": 100,
        "noise_start": 0.2,
        "noise_end": 0.005,
        "learning_rate": 2e-3,
        "parameter_grad_clip": 10.0,
    }
    return Config.model_validate(contrastive.base(shape).model_dump() | recipe)


def space(suggest: Suggest, base: Config) -> Config:
    """A step of size 1 goes to the mean of the clean images, so steps are a share of that way."""
    chosen = {
        "least_noise": suggest.suggest_float("least_noise", 0.02, 0.2, log=True),
        "most_noise": suggest.suggest_float("most_noise", 0.4, 1.6, log=True),
        "learning_rate": suggest.suggest_float("learning_rate", 5e-4, 5e-3, log=True),
        "step_size": suggest.suggest_float("step_size", 0.2, 1.2, log=True),
        "n_steps": suggest.suggest_int("n_steps", 20, 200, log=True),
        "noise_start": suggest.suggest_float("noise_start", 0.05, 1.0, log=True),
        "noise_end": suggest.suggest_float("noise_end", 5e-4, 0.05, log=True),
    }
    return Config.model_validate(base.model_dump() | chosen)


STUDY = study(__doc__, base, space)
