"""How well does the diffusion model of the sister assignment do: DDPM as published, at full size of the images?"""

from models.diffusion.config import Config
from studies import ImageShape, Suggest, _diffusion


def base(shape: ImageShape) -> Config:
    """Noise is predicted with the simple loss on the linear schedule, and taken away step by step, all of them."""
    written = {"prediction": "epsilon", "weight": "simple", "schedule": "linear", "sampler": "ddpm", "patch": 1}
    if max(shape[1:]) <= 16:
        size = {"timesteps": 200, "steps": 200, "updates": 1_200, "evaluations": 4, "ema_decay": 0.995}
        size |= {"batch_size": 64, "learning_rate": 3e-3}
    elif max(shape[1:]) <= 28:
        size = {"timesteps": 200, "steps": 200, "updates": 1_500, "evaluations": 1, "evaluation_samples": 500}
    else:
        size = {"timesteps": 1_000, "steps": 1_000, "width": 128, "levels": 3, "blocks": 2, "learning_rate": 2e-4}
        size |= {"batch_size": 128, "updates": 200_000, "evaluations": 10, "ema_decay": 0.9999}
    return Config.model_validate(written | size)


def space(suggest: Suggest, base: Config) -> Config:
    """How it is trained."""
    chosen = {
        "learning_rate": suggest.suggest_float("learning_rate", 2e-4, 5e-3, log=True),
        "batch_size": suggest.suggest_int("batch_size", 16, 128, log=True),
    }
    return Config.model_validate(base.model_dump() | chosen)


STUDY = _diffusion.study(__doc__, base, space, label="rate {learning_rate:.2g}, batches of {batch_size}", trials=4)
