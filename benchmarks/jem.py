"""Updates of JEM and JEM++ against the plain classifier's, and the floor that they can have.

An update of the classifier, and an input gradient for each step of the chains: less cannot be. What comes on top is the
batch of samples in the loss, the replay buffer, and the sampler's own arithmetic. The trainer itself is timed, between its
offers of a checkpoint, by processor time and one thread; the median leaves out updates at which it looks or reports.
"""

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks._figure import Figure, empty_folder
from models import jem
from models._env import Env
from models._events import Checkpoint
from models._jem_nets import in_mode, marginal
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
            plain = _update(config.model_copy(update={"likelihood_weight": 0.0}), updates, folder)
            gradient = _gradient(config, updates)
            floor = plain + config.n_steps * gradient
            yield Figure(
                f"updates a second of the plain classifier, 8×8, {config.width} channels, {config.batch_size} images",
                f"{1 / plain:.0f} ({plain * 1e3:.1f} ms; an input gradient {gradient * 1e3:.1f} ms)",
            )
            for name, switches in WAYS.items():
                found = _update(config.model_copy(update=switches), updates, folder)
                ratio = found / floor
                yield Figure(
                    f"  {name}, chains of {config.n_steps} steps",
                    f"{1 / found:.1f} ({found * 1e3:.0f} ms, {ratio:.2f} times the floor of {floor * 1e3:.0f} ms)",
                    f"<= {TARGET:g} times the floor",
                    ratio <= TARGET,
                )
    finally:
        torch.set_num_threads(before)


def _update(config: jem.Config, updates: int, folder: Path) -> float:
    """Median processor time of the first updates of a training, in seconds: a whole one so short may be lost on its way."""
    times, began = [], None
    training = jem.train(config, Env("digits", cache_folder=folder))
    for _ in islice((event for event in training if isinstance(event, Checkpoint)), updates):
        if began is not None:
            times.append(time.process_time() - began)
        began = time.process_time()
    training.close()
    return median(times)


def _gradient(config: jem.Config, repeats: int) -> float:
    """Median processor time of the energy's gradient in a batch of images, in seconds."""
    torch.manual_seed(0)
    net, x = jem.network(config, (1, 8, 8)), torch.rand(config.batch_size, 1, 8, 8)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as in training
    times = []
    with in_mode(net, config.sampling_mode):
        for _ in range(repeats):
            began = time.process_time()
            energy_and_gradient(marginal(net), x)
            times.append(time.process_time() - began)
    return median(times)
