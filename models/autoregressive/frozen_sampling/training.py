"""New images by a network that is not trained any more. Nothing is trained: a trial draws its images."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from models.autoregressive import networks
from models.autoregressive.config import BayesNetConfig, ImageGPTConfig
from models.autoregressive.config import Config as TrainedConfig
from models.autoregressive.frozen_sampling.config import Config
from models.autoregressive.networks import Network
from models.autoregressive.sampling import Sharpness, draw_images
from models.env import Env
from models.events import Event
from models.parts.evaluation import frozen
from models.parts.evaluation.frozen import TrainedNetwork
from models.parts.training.cost import counted


@dataclass(frozen=True, eq=False)
class Result:
    """Images that were drawn."""

    config: Config
    trained: TrainedNetwork[Network]
    images: Tensor
    flops: int  # of one image


def load_network(model: str, shape: tuple[int, int, int], device: str) -> Network:
    """The network that a trial of ``bayes_net`` or of ``image_gpt`` left in the folder ``model``."""
    settings, weights = frozen.read(model)
    kind: type[TrainedConfig] = BayesNetConfig if "neighbours" in settings else ImageGPTConfig
    return networks.load(kind.model_validate(settings), shape, weights, device)


def sharpness(config: Config) -> Sharpness:
    """What the settings do to the distribution of a token."""
    return Sharpness(config.temperature, config.top_k, config.top_p)


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, Any, Result]:
    """Draw the images; nothing is trained."""
    place = env.data, env.data_folder, env.cache_folder, env.device
    trained = frozen.trained_network(load_network, config.model, *place, config.samples)

    def draw_batch(n: int, first: int, generator: torch.Generator) -> Tensor:
        return draw_images(trained.network, n, generator, sharpness(config))

    images = yield from frozen.drawn(trained, config.model, config.samples, draw_batch, env, resume)
    _, flops = counted(partial(draw_images, trained.network, 1, env.generator("cost"), sharpness(config)))
    return Result(config, trained, images, flops)
