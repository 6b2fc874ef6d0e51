"""A background flow: the same network, trained on images of which some pixels are drawn anew, so it knows texture alone.

The ratio of both likelihoods leaves what the first knows beyond: Ren et al. 2019, arXiv:1906.02845.
"""

from collections.abc import Generator

import torch
from torch import Tensor

from models.data.dataset import Data
from models.env import Env
from models.events import Event, Progress
from models.flow.config import Config
from models.flow.learning import descend, optimiser, untrained
from models.flow.networks import Flow
from models.parts.training.batches import Batches
from models.parts.training.optimisation import learning_rate, set_learning_rate
from models.parts.training.reporting import is_report_step

STAGE = "background flow"


def redrawn(images: Tensor, share: float, levels: int, generator: torch.Generator) -> Tensor:
    """Images in [-1, 1] with a ``share`` of their pixels at levels that are drawn uniformly."""
    chosen = torch.rand(images.shape, generator=generator, device=images.device) < share
    others = torch.randint(levels, images.shape, generator=generator, device=images.device)
    return torch.where(chosen, others / (levels - 1) * 2 - 1, images)


def background(config: Config, data: Data, env: Env) -> Generator[Event, None, Flow]:
    """The trained background flow, ready to be asked."""
    flow, updates = untrained(config, data, env), config.background_updates
    levels, optimizer = int(flow.levels), optimiser(flow, config)
    batches = Batches.of(data.train, config.batch_size, env.generator("background batches"))
    noise = env.generator("background noise")
    for index in range(updates):
        set_learning_rate(optimizer, learning_rate(config.learning_rate, index, updates))
        images = redrawn(batches.draw()[0], config.background_noise, levels, noise)
        descend(flow, optimizer, images, None, noise)
        if is_report_step(index + 1, updates):
            yield Progress(STAGE, index + 1, updates)
    return flow.eval().requires_grad_(False)
