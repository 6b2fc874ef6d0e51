"""Updates of JEM and JEM++ against the plain classifier's, and the floor that they can have.

An update of the classifier, and an input gradient for each step of the chains: less cannot be. What comes on top is the
batch of samples in the loss, the replay buffer, and the sampler's own arithmetic. The trainers themselves are timed, between
their offers of a checkpoint, by processor time and one thread; the median leaves out updates at which they look or report.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks._figure import Figure, empty_folder
from models.env import Env
from models.events import Checkpoint
from models.jem import networks, training
from models.jem.config import Config
from models.jem.networks import in_mode, marginal
from samplers.kernel import energy_and_gradient
from studies._jem import base

UPDATES = 200
TARGET = 1.25  # times the floor
WAYS: dict[str, dict[str, Any]] = {
    "JEM": {"start": "noise", "sampler": "langevin"},
    "JEM++": {"start": "mixture", "sampler": "proximal"},
}


def measure(quick: bool = False) -> Iterator[Figure]:
    """Updates a second of each, and how far above the floor."""
    before, updates = torch.get_num_threads(), UPDATES // 5 if quick else UPDATES
    torch.set_num_threads(1)
    try:
        with empty_folder() as folder:
            config = base((1, 8, 8)).model_copy(update={"evaluations": 1, "evaluation_length": 1})
            plain, gradients, *ways = _medians(
                [
                    _training(config.model_copy(update={"likelihood_weight": 0.0}), folder),
                    _gradients(config),
                    *(_training(config.model_copy(update=switches), folder) for switches in WAYS.values()),
                ],
                updates,
            )
            floor = plain + gradients
            yield Figure(
                f"updates a second of the plain classifier, 8×8, {config.width} channels, {config.batch_size} images",
                f"{1 / plain:.0f} ({plain * 1e3:.1f} ms; {config.n_steps} input gradients {gradients * 1e3:.1f} ms)",
            )
            for name, found in zip(WAYS, ways, strict=True):
                ratio = found / floor
                yield Figure(
                    f"  {name}, chains of {config.n_steps} steps",
                    f"{1 / found:.1f} ({found * 1e3:.0f} ms, {ratio:.2f} times the floor of {floor * 1e3:.0f} ms)",
                    f"<= {TARGET:g} times the floor",
                    ratio <= TARGET,
                )
    finally:
        torch.set_num_threads(before)


def _medians(works: Sequence[Iterator[object]], times: int) -> list[float]:
    """Median processor time of a piece of each of ``works``, in seconds; in turns, so that what else runs harms all alike."""
    for work in works:
        next(work)
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(times):
        for work, found in zip(works, taken, strict=True):
            began = time.process_time()
            next(work)
            found.append(time.process_time() - began)
    return [median(found) for found in taken]


def _training(config: Config, folder: Path) -> Iterator[object]:
    """An update at a time of a training that is longer than what is timed: so short a one may be lost on its way."""
    return (
        event for event in training.train(config, Env("digits", cache_folder=folder)) if isinstance(event, Checkpoint)
    )


def _gradients(config: Config) -> Iterator[object]:
    """As many gradients of the energy in a batch of images as a chain takes, one after another."""
    torch.manual_seed(0)
    net, x = networks.network(config, (1, 8, 8)), torch.rand(config.batch_size, 1, 8, 8)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as in training
    with in_mode(net, config.sampling_mode):
        while True:
            for _ in range(config.n_steps):
                found = energy_and_gradient(marginal(net), x)
            yield found
