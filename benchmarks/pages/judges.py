"""``python -m benchmarks.pages.judges [DATA…]``: how far FID depends on which judge scores: the same images by three judges.

Judges differ in first weights and batches alone. Scored are images of a Gaussian per class, and real training images.
"""

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import torch

from models.data import dataset as datasets
from models.data.dataset import Data
from models.env import Env
from models.parts.evaluation import judge as judges
from models.parts.evaluation.gaussians import mixture_images
from models.parts.evaluation.judge import Judge
from models.parts.evaluation.quality import Quality
from models.parts.training import cache

JUDGES, N_IMAGES = 3, 1_000


def trained(data: Data, env: Env) -> Iterator[Judge]:
    """The judge that scores, from the cache or made for it, and others."""
    yield cache.at_once(judges.obtain(data, env.cache_folder, env.device))
    for number in range(1, JUDGES):
        yield cache.at_once(judges.train(data, env.device, number))


def row(data: Data, env: Env) -> str:
    """A row of the table: the FIDs of both sets by each judge, and the range of the first as a share of its mean."""
    n = min(N_IMAGES, len(data.validation))
    mixture = mixture_images(data.train, len(data.classes), n, env.generator("mixture"))
    real = data.train.floats(torch.randperm(len(data.train), generator=env.generator("real"))[:n])
    qualities = [Quality.against_validation(judge, data, n) for judge in trained(data, env)]
    of_mixture, of_real = ([quality.fid(images) for quality in qualities] for images in (mixture, real))
    spread = (max(of_mixture) - min(of_mixture)) / fmean(of_mixture)
    accuracies = " ".join(f"{100 * quality.judge.accuracy:.1f}" for quality in qualities)
    cells = (" ".join(f"{fid:.3g}" for fid in fids) for fids in (of_mixture, of_real))
    return " | ".join([data.name, f"{n:,}", f"{accuracies} %", *cells, f"{spread:.0%}"])


def main() -> None:
    """Print the rows of the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages.judges", description=__doc__)
    parser.add_argument("data", nargs="*", default=["digits", "persian", "mnist", "fashion_mnist", "cifar10"])
    parser.add_argument("--data-folder", type=Path, default=Path(os.environ.get("SWEEP_DATA", "data")))
    parser.add_argument("--cache-folder", type=Path, default=Path(".sweeps/cache"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "data | images | judges' accuracy | FID of a Gaussian per class | FID of real images | spread | seconds of a core"
    )
    for name in arguments.data:
        env, began = (
            Env(name, 0, data_folder=arguments.data_folder, cache_folder=arguments.cache_folder),
            time.process_time(),
        )
        text = row(datasets.load(name, arguments.data_folder), env)
        print(f"{text} | {time.process_time() - began:.0f}", flush=True)


if __name__ == "__main__":
    main()
