"""Which images does an energy-based model of CIFAR-10 draw at the size of the paper?

``python -m benchmarks.published.igebm [--device cuda] [--data NAME] [--price] [--yes]``: nine residual blocks and chains of 60
steps in a replay buffer of 10,000, after Du and Mordatch 2019, arXiv:1903.08689. First it says what the training costs, in
FLOPs; with ``--price`` nothing else. Then it is a sweep of one trial, which ``sweep resume`` continues; beyond a day on the
device it does not start without ``--yes``.
"""

from dataclasses import replace

from models.ebm.config import Config
from models.ebm.networks import workload
from studies import ImageShape, Suggest
from studies.ebm import STUDY as EBM


def base(shape: ImageShape) -> Config:
    """The recipe of the paper."""
    return Config(
        blocks=9,
        width=64,
        n_steps=60,
        step_size=10.0,
        noise_start=0.005,
        grad_clip=0.1,
        start="replay",
        fresh_share=0.05,
        buffer_size=10_000,
        batch_size=128,
        learning_rate=3e-4,
        network_evaluations=2_000_000,
        precision="auto",
    )


def space(suggest: Suggest, base: Config) -> Config:
    """Nothing is searched."""
    return base


STUDY = replace(
    EBM, question=(__doc__ or "").splitlines()[0], base=base, space=space, first=({},), trials=1, heat_map=None
)


if __name__ == "__main__":
    from benchmarks.published.price import main  # a study file that a sweep reads needs no package of benchmarks

    raise SystemExit(main(__file__, __doc__, "cifar10", base, workload))
