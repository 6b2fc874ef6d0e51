"""Which likelihood does GLOW reach at the size that is published?

``python -m benchmarks.published.glow [--device cuda] [--data NAME] [--price] [--yes]``: three scales of 32 steps, 512 channels
wide, no logit, 200,000 updates of 64 (Kingma and Dhariwal 2018, arXiv:1807.03039, for CIFAR-10), or for images of 28×28 two
scales of 16 steps, 200 channels, α of the logit 10⁻⁶, 100,000 updates of 64. Ours has Adam with a cosine where theirs has Adamax
and averaged weights, and scales that are bounded both ways.
First it says what the training costs, in FLOPs; with ``--price`` nothing else. Then it is a sweep of one trial, which
``sweep resume`` continues; beyond a day on the device it does not start without ``--yes``.
"""

from dataclasses import replace

from models.flow.config import Config
from models.flow.networks import workload
from studies import ImageShape, Suggest
from studies.flow import STUDY as FLOW

COMMON = {
    "batch_size": 64,
    "learning_rate": 1e-3,
    "evaluations": 20,
    "evaluation_samples": 1_000,
    "likelihood_images": 2_000,
}


def base(shape: ImageShape) -> Config:
    """The recipe of the paper, or a smaller one for small images."""
    if max(shape[1:]) <= 28:
        size = {"width": 200, "scales": 2, "steps": 16, "updates": 100_000, "logit": 1e-6}
    else:
        size = {"width": 512, "scales": 3, "steps": 32, "updates": 200_000}
    return Config.model_validate(COMMON | size)


def space(suggest: Suggest, base: Config) -> Config:
    """Nothing is searched."""
    return base


STUDY = replace(FLOW, question=(__doc__ or "").splitlines()[0], base=base, space=space, first=({},), trials=1)


if __name__ == "__main__":
    from benchmarks.published.price import main  # a study file that a sweep reads needs no package of benchmarks

    raise SystemExit(main(__file__, __doc__, "fashion_mnist:80/20", base, workload))
