"""How a flow begins, and one step of its learning: what training and the background flow share."""

import math

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from models.data.dataset import Data
from models.env import Env
from models.flow.bits import pixels
from models.flow.config import Config
from models.flow.networks import Flow, network
from models.flow.residual import lipschitz
from models.parts.evaluation import likelihood
from models.parts.training.optimisation import seeded_init

GRADIENT_CLIP = 5.0  # largest norm of the gradient in the weights, of a loss in bits per dimension
FIRST_IMAGES = 256  # training images by which scales and shifts begin


def untrained(config: Config, data: Data, env: Env) -> Flow:
    """A flow whose weights are the seed's, and whose scales and shifts begin with the first training images."""
    with seeded_init(env.generator("weights").initial_seed()):
        flow = network(config, data.shape).to(env.device)
    flow.levels.fill_(config.levels or likelihood.levels(data))
    images = data.train.floats(torch.arange(min(FIRST_IMAGES, len(data.train)))).to(env.device)
    flow.initialise(pixels(images, int(flow.levels), env.generator("first cells")))
    return flow


def optimiser(flow: Flow, config: Config) -> Optimizer:
    """Of all weights of the flow."""
    return torch.optim.Adam(flow.parameters(), config.learning_rate, fused=True)


def descend(
    flow: Flow, optimizer: Optimizer, images: Tensor, labels: Tensor | None, generator: Generator
) -> tuple[Tensor, Tensor]:
    """One update on images in [-1, 1]: their mean log density in nats before it, and the norm of the gradient."""
    x = pixels(images, int(flow.levels), generator)
    nats = flow.log_density(x, labels, generator).mean()
    loss = -nats / (x[0].numel() * math.log(2))
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(flow.parameters(), GRADIENT_CLIP)
    optimizer.step()
    lipschitz.iterate(flow)
    return nats.detach(), norm
