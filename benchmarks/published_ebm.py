"""Which images does an energy-based model of CIFAR-10 draw at the size of the paper?

``python -m benchmarks.published_ebm [--device cuda] [--data NAME] [--yes]``: nine residual blocks and chains of 60 steps in a
replay buffer of 10,000, after Du and Mordatch 2019, arXiv:1903.08689. First it says what the training costs, in FLOPs. Then it
is a sweep of one trial, which ``sweep resume`` continues; beyond a day on the device it does not start without ``--yes``.
"""

import argparse
import shlex
import subprocess
import sys
from dataclasses import replace

from torch.utils.flop_counter import FlopCounterMode

from models.ebm.config import Config
from models.ebm.networks import workload
from studies import ImageShape, Suggest
from studies.ebm import STUDY as EBM

SHAPE = (3, 32, 32)


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


def flops(config: Config) -> float:
    """Of the whole training: a forward pass and the gradient in x for each image of each evaluation of its budget."""
    passes, images, forward = workload(config, SHAPE)
    with FlopCounterMode(display=False) as counter:
        forward(1).sum().backward()  # type: ignore[no-untyped-call]
    return float(counter.get_total_flops()) * passes * images


def main() -> int:
    """Print the price, then run the sweep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.published_ebm", description=__doc__)
    parser.add_argument("--device", default="auto", help="as `sweep run` takes it")
    parser.add_argument("--data", default="cifar10", help="a data set of 32×32 colour images, as `sweep run` names it")
    parser.add_argument("--name", default="published-ebm", help="name of the sweep")
    parser.add_argument("--yes", action="store_true", help="train even if it takes more than a day")
    options = parser.parse_args()
    config = base(SHAPE)
    print(f"{config.updates:,} updates are {flops(config):.2g} FLOPs in the network")
    words = ["run", __file__, "--name", options.name, "--data", options.data, "--device", options.device]
    words += ["--yes"] * options.yes
    print(f"sweep {shlex.join(words)}", flush=True)
    return subprocess.run([sys.executable, "-m", "orchestrator", *words], check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
