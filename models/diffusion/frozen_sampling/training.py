"""New images by a network that is not trained any more. Nothing is trained: a trial draws its images."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.diffusion.config import Config as TrainedConfig
from models.diffusion.drawing import Cost, asked_labels, draw, standard_noise
from models.diffusion.frozen_sampling.config import Config
from models.diffusion.networks import Diffusion
from models.env import Env
from models.events import Event
from models.parts.evaluation import frozen
from models.parts.evaluation.frozen import TrainedNetwork
from models.parts.networks.blocks import restored


@dataclass(frozen=True, eq=False)
class Result:
    """Images that were drawn."""

    config: Config
    trained: TrainedNetwork[Diffusion]
    images: Tensor
    cost: Cost


def load_network(model: str, shape: tuple[int, int, int], device: str) -> Diffusion:
    """The network that a trial left in the folder ``model``."""
    settings, weights = frozen.read(model)
    config = TrainedConfig.model_validate(settings)
    return restored(Diffusion(config, shape), weights, device)


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, Any, Result]:
    """Draw the images; nothing is trained."""
    place = env.data, env.data_folder, env.cache_folder, env.device
    trained = frozen.trained_network(load_network, config.model, *place, config.samples)
    network, shape = trained.network, trained.references.data.shape

    def draw_batch(n: int, first: int, generator: torch.Generator) -> Tensor:
        noise = standard_noise(n, shape, generator)
        labels = asked_labels(config, config.known_classes, n, env.device, first)
        return draw(network, config, noise, generator, labels)

    images = yield from frozen.drawn(trained, config.model, config.samples, draw_batch, env, resume)
    return Result(config, trained, images, Cost.of(network, config, config.known_classes, env))
