"""The two networks that play against each other, with their optimizers, and what both are trained on: batches and noise."""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.data.dataset import Data
from models.env import Env
from models.gan.conditioning import conditions, generator_input
from models.gan.config import Config
from models.gan.networks import Critic, network, straight_through
from models.parts.training.augmentation import noisy
from models.parts.training.batches import Batches
from models.parts.training.checkpoint import Part
from models.parts.training.loop import LearningRate
from models.parts.training.optimisation import seeded_init


class Batch(NamedTuple):
    """What an update learns from."""

    real: Tensor  # (n, *shape)
    labels: Tensor  # (n,), what the networks are told of real images
    generated: Tensor  # (n, *shape)
    asked: Tensor  # (n,), what the generated images are to be


class Players:
    """Generator, critic, and the averaged generator, which is what is scored and kept. ``config`` is resolved."""

    def __init__(self, config: Config, env: Env, data: Data) -> None:
        self.config, self.updates = config, config.updates
        with seeded_init(env.generator("weights").initial_seed()):
            self.generator = network(config, data.shape).to(env.device)
            self.critic = Critic(config, data.shape).to(env.device)
        self.average = copy.deepcopy(self.generator).requires_grad_(False).eval()
        generator_rate, critic_rate = config.generator_learning_rate or 0.0, config.critic_learning_rate or 0.0
        self.generator_optimizer = optimizer(config, self.generator, generator_rate)
        self.critic_optimizer = optimizer(config, self.critic, critic_rate)
        generator_schedule = LearningRate(self.generator_optimizer, generator_rate)
        self.learning_rates = (generator_schedule, LearningRate(self.critic_optimizer, critic_rate))
        self.parts: dict[str, Part] = {"generator": self.generator, "critic": self.critic, "average": self.average}
        self.parts |= {"of_generator": self.generator_optimizer, "of_critic": self.critic_optimizer}
        self.batches, self.noise = (
            Batches.of(data.train, config.batch_size, env.generator("batches")),
            env.generator("noise"),
        )
        self.parts |= {"batches": self.batches.generator, "noise": self.noise}

    def draw(self, with_gradients: bool) -> Batch:
        """Real images, and as many of new noise as the critic knows them, with gradients in the generator where asked for."""
        real, labels = self.batches.draw()
        asked = conditions(self.config, labels, self.noise)
        z = torch.randn(len(labels), self.config.latent_size, generator=self.noise, device=labels.device)
        with torch.set_grad_enabled(with_gradients):
            images: Tensor = self.generator(generator_input(self.config, z, asked))
            generated = straight_through(images) if self.config.straight_through else images
        return Batch(real, labels, generated, asked)

    def add_noise(self, images: Tensor, update: int) -> Tensor:
        """Images under noise that fades until the last update: else the critic would tell the two kinds by their greys alone."""
        return noisy(images, self.config.instance_noise * max(0.0, 1 - update / self.updates), self.noise)


def optimizer(config: Config, net: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    """The optimizer of one of the two networks. ``config`` is resolved."""
    assert config.beta1 is not None and config.beta2 is not None
    if config.optimizer == "rmsprop":
        return torch.optim.RMSprop(net.parameters(), learning_rate)
    return torch.optim.Adam(net.parameters(), learning_rate, betas=(config.beta1, config.beta2), fused=True)
