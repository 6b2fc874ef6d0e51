"""Every Bayesian network of pixels on Persian digits: bits per dimension, FID and legibility, one row each.

    python -m benchmarks.pages.bayes_net [SEED]

24 trainings of 400 updates, 1,000 new images each; processor seconds of one core are of the updates alone.
"""

import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from models.autoregressive.config import BayesNetConfig
from models.autoregressive.networks import nats_by_place
from models.autoregressive.sampling import draw_images
from models.autoregressive.training import LikelihoodLearner
from models.data import dataset as datasets
from models.env import Env
from models.parts.evaluation import judge as judges
from models.parts.evaluation.legibility import judged_classes
from models.parts.evaluation.likelihood import scores
from models.parts.evaluation.quality import Quality
from models.parts.networks.blocks import n_weights
from models.parts.training import cache
from models.parts.training.optimisation import learning_rate, set_learning_rate

RATES = {"linear": 0.05, "mlp": 0.01}


def configs() -> Iterator[BayesNetConfig]:
    """All combinations of what the study searches, with a learning rate that suits each kind of conditional."""
    for cpd, position, neighbours in itertools.product(("linear", "mlp"), ("none", "bias", "own"), (3, 8, 15, 24)):
        yield BayesNetConfig.model_validate(
            {"cpd": cpd, "position": position, "neighbours": neighbours, "learning_rate": RATES[cpd]}
        )


def main(seed: int) -> None:
    """Print the table, a row as soon as it is measured."""
    torch.set_num_threads(1)
    env = Env("persian", seed, "cpu", Path("data"), Path(".sweeps/cache"))
    data = datasets.load(env.data, env.data_folder)
    judge = cache.at_once(judges.obtain(data, env.cache_folder, env.device))
    quality = Quality.against_validation(judge, data, 1_000)
    print("| conditional | position | neighbours | weights | bits per dimension | `fid/fresh` | legible | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    for config in configs():
        learner = LikelihoodLearner(config, env, data, quality)
        begun = time.process_time()
        for index in range(config.updates):
            rate = learning_rate(config.learning_rate, index, config.updates, config.warmup)
            set_learning_rate(learner.optimizer, rate)
            learner.update(index)
        seconds, net = time.process_time() - begun, learner.network
        likelihood = scores(nats_by_place(net, net.tokens.encode(data.validation.floats())).sum(1), data.shape)
        bits = likelihood["likelihood/bits_per_dimension"]
        fresh = draw_images(net, quality.n, env.generator("evaluation"))
        legible = judged_classes(judge, "", fresh)["legibility/share"]
        print(
            f"| {config.cpd} | {config.position} | {config.neighbours} | {n_weights(net):,} | {bits:.4f} | "
            f"{quality.fid(fresh):.1f} | {100 * legible:.0f} % | {seconds:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
