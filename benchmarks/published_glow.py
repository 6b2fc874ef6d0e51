"""Which likelihood does GLOW reach at the size that is published?

``python -m benchmarks.published_glow [--device cuda] [--data NAME] [--price] [--yes]``: three scales of 32 steps, 512 channels
wide, no logit, 200,000 updates of 64 (Kingma and Dhariwal 2018, arXiv:1807.03039, for CIFAR-10), or for images of 28×28 two
scales of 16 steps, 200 channels, α of the logit 10⁻⁶, 100,000 updates of 64. Ours has Adam with a cosine where theirs has Adamax
and averaged weights, and scales that are bounded both ways.
First it says what the training costs, in FLOPs; with ``--price`` nothing else. Then it is a sweep of one trial, which
``sweep resume`` continues; beyond a day on the device it does not start without ``--yes``.
"""

import argparse
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from models.data.dataset import Reader
from models.flow.config import Config
from models.flow.networks import workload
from models.parts.training.cost import counted
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
        size = {"width": 200, "scales": 2, "steps": 16, "updates": 100_000, "logit": 1e-6, "background_updates": 10_000}
    else:
        size = {"width": 512, "scales": 3, "steps": 32, "updates": 200_000, "background_updates": 20_000}
    return Config.model_validate(COMMON | size)


def space(suggest: Suggest, base: Config) -> Config:
    """Nothing is searched."""
    return base


STUDY = replace(FLOW, question=(__doc__ or "").splitlines()[0], base=base, space=space, first=({},), trials=1)


def flops(config: Config, shape: ImageShape) -> float:
    """Of the whole training: a forward pass and the gradient in the weights for each image of each update."""
    passes, images, forward = workload(config, shape)
    _, of_one = counted(lambda: forward(1).sum().backward())
    return float(of_one) * passes * images


def main() -> int:
    """Print the price, then run the sweep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.published_glow", description=__doc__)
    parser.add_argument("--device", default="auto", help="as `sweep run` takes it")
    parser.add_argument("--data", default="fashion_mnist:80/20", help="a data set, as `sweep run` names it")
    parser.add_argument("--name", default="published-glow", help="name of the sweep")
    parser.add_argument("--price", action="store_true", help="say the price alone")
    parser.add_argument("--yes", action="store_true", help="train even if it takes more than a day")
    options = parser.parse_args()
    shape = Reader(options.data, Path("data")).shape
    config = base(shape)
    print(f"{config.updates:,} updates are {flops(config, shape):.2g} FLOPs in the network", flush=True)
    if options.price:
        return 0
    words = ["run", __file__, "--name", options.name, "--data", options.data, "--device", options.device]
    words += ["--yes"] * options.yes
    print(f"sweep {shlex.join(words)}", flush=True)
    return subprocess.run([sys.executable, "-m", "orchestrator", *words], check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
