"""Which images does a diffusion model draw at the size of the paper?

``python -m benchmarks.published.ddpm [--device cuda] [--data NAME] [--price] [--yes]``: DDPM's U-Net for CIFAR-10, 128
channels wide, 1,000 timesteps, 800,000 updates of 128 (Ho et al. 2020, arXiv:2006.11239), or for images of 28×28 one of 64
channels and 100,000 updates. Ours has its attention on the smallest maps alone, and neither dropout nor mirrored images.
First it says what the training costs, in FLOPs; with ``--price`` nothing else. Then it is a sweep of one trial, which
``sweep resume`` continues; beyond a day on the device it does not start without ``--yes``.
"""

from dataclasses import replace

from models.diffusion.config import Config
from models.diffusion.networks import workload
from studies import ImageShape, Suggest
from studies.diffusion import STUDY as DIFFUSION

COMMON = {
    "prediction": "epsilon",
    "weight": "simple",
    "timesteps": 1_000,
    "steps": 100,
    "eta": 1.0,
    "blocks": 2,
    "batch_size": 128,
    "learning_rate": 2e-4,
    "evaluations": 20,
    "evaluation_samples": 1_000,
}


def base(shape: ImageShape) -> Config:
    """The recipe of the paper, or half of it for small images."""
    if max(shape[1:]) <= 28:
        size = {"width": 64, "levels": 3, "updates": 100_000, "ema_decay": 0.9995, "schedule": "cosine"}
    else:
        size = {"width": 128, "levels": 4, "updates": 800_000, "ema_decay": 0.9999, "schedule": "linear"}
    return Config.model_validate(COMMON | size)


def space(suggest: Suggest, base: Config) -> Config:
    """Nothing is searched."""
    return base


STUDY = replace(DIFFUSION, question=(__doc__ or "").splitlines()[0], base=base, space=space, first=({},), trials=1)


if __name__ == "__main__":
    from benchmarks.published.price import main  # a study file that a sweep reads needs no package of benchmarks

    raise SystemExit(main(__file__, __doc__, "cifar10", base, workload))
