"""New images by a network that is not trained any more. Nothing is trained: a trial draws its images."""

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.diffusion.config import Config as TrainedConfig
from models.diffusion.drawing import Cost, asked_labels, draw, standard_noise
from models.diffusion.frozen_sampling.config import Config
from models.diffusion.networks import Diffusion
from models.env import Env
from models.events import Checkpoint, Event, Progress
from models.parts.evaluation import frozen
from models.parts.evaluation.frozen import References
from models.parts.networks.blocks import restored

BATCHES = 12  # in which a trial draws its images


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """What trials on one network have in common; made once in a process."""

    network: Diffusion
    references: References


@dataclass(frozen=True, eq=False)
class Result:
    """Images that were drawn."""

    config: Config
    trained: TrainedNetwork
    images: Tensor
    cost: Cost


@lru_cache(maxsize=2)
def load(model: str, data: str, data_folder: Path, cache_folder: Path, device: str, samples: int) -> TrainedNetwork:
    """The trained network in the folder ``model``, with reference values for ``samples`` images."""
    references = frozen.references(data, data_folder, cache_folder, device, samples)
    return TrainedNetwork(load_network(model, references.data.shape, device), references)


def load_network(model: str, shape: tuple[int, int, int], device: str) -> Diffusion:
    """The network that a trial left in the folder ``model``."""
    settings, weights = frozen.read(model)
    config = TrainedConfig.model_validate(settings)
    return restored(Diffusion(config, shape), weights, device)


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, Any, Result]:
    """Draw the images; nothing is trained."""
    trained = load(config.model, env.data, env.data_folder, env.cache_folder, env.device, config.samples)
    batches: list[Tensor] = []
    if resume is None:
        yield trained.references.data.used
        yield trained.references.facts(config.model, trained.network)
    else:
        batches = list(resume["images"].split(size_of_batch(config)))
    total = math.ceil(config.samples / size_of_batch(config))
    for index in range(len(batches), total):
        first = index * size_of_batch(config)
        n = min(size_of_batch(config), config.samples - first)
        generator = env.generator(f"samples, batch {index}")  # of its own: a resumed trial needs no state of it
        noise = standard_noise(n, trained.references.data.shape, generator)
        labels = asked_labels(config, config.known_classes, n, env.device, first)
        batches.append(draw(trained.network, config, noise, generator, labels).cpu())
        yield Progress("samples", index + 1, total)
        yield Checkpoint(index + 1, partial(_state, batches))
    return Result(config, trained, torch.cat(batches), Cost.of(trained.network, config, config.known_classes, env))


def size_of_batch(config: Config) -> int:
    """Images that are drawn between two checkpoints."""
    return max(1, config.samples // BATCHES)


def _state(batches: list[Tensor]) -> dict[str, Any]:
    return {"images": torch.cat(batches)}
