"""Which images does a diffusion model draw at the size of the paper?

``python -m benchmarks.published_diffusion [--device cuda] [--data NAME] [--price] [--yes]``: DDPM's U-Net for CIFAR-10, 128
channels wide, 1,000 timesteps, 800,000 updates of 128 (Ho et al. 2020, arXiv:2006.11239), or for images of 28×28 one of 64
channels and 100,000 updates. Ours has its attention on the smallest maps alone, and neither dropout nor mirrored images.
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
from models.diffusion.config import Config
from models.diffusion.networks import workload
from models.parts.training.cost import counted
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


def flops(config: Config, shape: ImageShape) -> float:
    """Of the whole training: a forward pass and the gradient in the weights for each image of each update."""
    passes, images, forward = workload(config, shape)
    _, of_one = counted(lambda: forward(1).sum().backward())
    return float(of_one) * passes * images


def main() -> int:
    """Print the price, then run the sweep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.published_diffusion", description=__doc__)
    parser.add_argument("--device", default="auto", help="as `sweep run` takes it")
    parser.add_argument("--data", default="cifar10", help="a data set, as `sweep run` names it")
    parser.add_argument("--name", default="published-diffusion", help="name of the sweep")
    parser.add_argument("--price", action="store_true", help="say the price alone")
    parser.add_argument("--yes", action="store_true", help="train even if it takes more than a day")
    options = parser.parse_args()
    known = {"mnist": (1, 28, 28), "fashion_mnist": (1, 28, 28), "cifar10": (3, 32, 32)}
    shape = known.get(options.data) or Reader(options.data, Path("data")).shape
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
