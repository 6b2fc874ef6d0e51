"""New images by a flow that is not trained any more. Nothing is trained: a trial draws its images."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.env import Env
from models.events import Event
from models.flow.config import Config as TrainedConfig
from models.flow.drawing import drawn, labels_in_turn, standard_noise
from models.flow.frozen_sampling.config import Config
from models.flow.networks import Flow, network
from models.parts.evaluation import frozen
from models.parts.evaluation.frozen import TrainedNetwork
from models.parts.networks.blocks import restored


@dataclass(frozen=True, eq=False)
class Result:
    """Images that were drawn."""

    config: Config
    trained: TrainedNetwork[Flow]
    images: Tensor


def load_network(model: str, shape: tuple[int, int, int], device: str) -> Flow:
    """The flow that a trial left in the folder ``model``."""
    settings, weights = frozen.read(model)
    return restored(network(TrainedConfig.model_validate(settings), shape), weights, device)


def draw(flow: Flow, config: Config, n: int, generator: torch.Generator, first: int = 0) -> Tensor:
    """Images (n, *shape) in [-1, 1] as the settings say, of each class in turn from number ``first`` if it knows any."""
    noise = standard_noise(n, flow.shape, generator)
    labels = labels_in_turn(flow, n, str(generator.device), first)
    return flow.images(drawn(flow, noise, config.temperature, labels, config.fine_temperature))


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, Any, Result]:
    """Draw the images; nothing is trained."""
    place = env.data, env.data_folder, env.cache_folder, env.device
    trained = frozen.trained_network(load_network, config.model, *place, config.samples)

    def draw_batch(n: int, first: int, generator: torch.Generator) -> Tensor:
        return draw(trained.network, config, n, generator, first)

    images = yield from frozen.drawn(trained, config.model, config.samples, draw_batch, env, resume)
    return Result(config, trained, images)
