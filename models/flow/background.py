"""A background flow: the trained flow, trained on a little with images of which some pixels are drawn anew.

So it forgets objects and keeps textures, and the ratio of both likelihoods is what the first knows of objects: Ren et al.
2019, arXiv:1906.02845. They train it from the beginning and redraw pixels uniformly. Both were worse here: two flows differ by
more than objects, and where any level may stand, each black pixel has a price, by which images with much black gain.
"""

import copy
from collections.abc import Generator

import torch
from torch import Tensor

from models.data.dataset import Data
from models.env import Env
from models.events import Event, Progress
from models.flow.config import Config
from models.flow.learning import descend, optimiser
from models.flow.networks import Flow
from models.parts.training.batches import Batches
from models.parts.training.optimisation import learning_rate, set_learning_rate
from models.parts.training.reporting import is_report_step

STAGE = "background flow"
SLOWER = 0.5  # its largest learning rate, as a share of that of the training


def redrawn(images: Tensor, others: Tensor | None, share: float, levels: int, generator: torch.Generator) -> Tensor:
    """Images in [-1, 1] with a ``share`` of their pixels those of ``others`` at their place, or at uniform levels."""
    chosen = torch.rand(images.shape, generator=generator, device=images.device) < share
    if others is None:
        numbers = torch.randint(levels, images.shape, generator=generator, device=images.device)
        others = numbers / (levels - 1) * 2 - 1
    return torch.where(chosen, others, images)


def background(trained: Flow, config: Config, data: Data, env: Env) -> Generator[Event, None, Flow]:
    """The background flow of a trained one, ready to be asked."""
    flow, updates = copy.deepcopy(trained).train().requires_grad_(True), config.background_updates
    levels, optimizer = int(flow.levels), optimiser(flow, config)
    batches = Batches.of(data.train, config.batch_size, env.generator("background batches"))
    others = Batches.of(data.train, config.batch_size, env.generator("background pixels"))
    noise = env.generator("background noise")
    for index in range(updates):
        set_learning_rate(optimizer, learning_rate(SLOWER * config.learning_rate, index, updates))
        drawn = others.draw()[0] if config.background_pixels == "place" else None
        images = redrawn(batches.draw()[0], drawn, config.background_noise, levels, noise)
        descend(flow, optimizer, images, None, noise)
        if is_report_step(index + 1, updates):
            yield Progress(STAGE, index + 1, updates)
    return flow.eval().requires_grad_(False)
