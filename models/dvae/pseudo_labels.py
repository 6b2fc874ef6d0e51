"""What pseudo-labels are worth: the same small network trained on true labels and on cluster ids, read on the test split."""

from collections.abc import Iterator, Sequence
from statistics import fmean

import torch
from torch import Tensor

from models.data.dataset import Split
from models.env import Env
from models.parts.evaluation.judge import Network
from models.parts.training.classifier import learn
from models.parts.training.optimisation import seeded_init

BATCH_SIZE = 64
LEARNING_RATE = 2e-3


def answers(
    images: Tensor, targets: Tensor, n_targets: int, split: Split, env: Env, steps: int, seeds: int
) -> Iterator[Tensor]:
    """What so many classifiers, one after the other, take the images of ``split`` for: (n,) numbers of targets each.

    Each learns ``targets`` (m,) of ``images`` (m, *shape), bytes, from weights and batches of its own, which are the same
    for any targets.
    """
    pictures, targets = images.to(env.device), targets.to(env.device)
    for seed in range(seeds):
        generator = env.generator(f"classifier {seed}")
        with seeded_init(generator.initial_seed()):
            network = Network((images.shape[1], images.shape[2], images.shape[3]), n_targets)
        network.to(env.device)
        for _ in learn(network, pictures, targets, steps, BATCH_SIZE, LEARNING_RATE, generator, weight_decay=1e-4):
            pass
        network.eval()
        with torch.no_grad():
            parts = [network(batch.to(env.device)).argmax(1) for batch in torch.split(split.floats(), 512)]
        yield torch.cat(parts).cpu()


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the mean of at least two independent values, by Student's t."""
    from scipy.stats import sem, t

    mean, reach = fmean(values), float(t.ppf(0.975, len(values) - 1) * sem(values))
    return mean - reach, mean + reach
