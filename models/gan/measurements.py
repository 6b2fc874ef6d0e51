"""What a report of training measures."""

import math
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.gan import losses
from models.gan.config import Config
from models.gan.players import Players

SLOPES = 16  # points between two images at which the critic's slope is measured
PAIRED = 64  # images whose distances from each other are measured


class CriticUpdate(NamedTuple):
    """What an update of the critic was made of."""

    real: Tensor  # (n, *shape), as the critic sees them
    generated: Tensor  # (n, *shape), as the critic sees them
    labels: Tensor  # (n,), of both
    on_real: Tensor  # values (n,)
    on_generated: Tensor  # values (n,)
    loss: Tensor


class GeneratorUpdate(NamedTuple):
    """What an update of the generator was made of."""

    images: Tensor  # (n, *shape)
    loss: Tensor


class Spent(NamedTuple):
    """How far training has come."""

    network_evaluations: int
    epochs: float


def measure(
    config: Config, players: Players, of_critic: CriticUpdate, of_generator: GeneratorUpdate, spent: Spent
) -> dict[str, float]:
    """The measurements directly after an update of both networks, by name."""
    real, generated, labels, on_real, on_generated, critic_loss = of_critic
    critic = players.critic.eval()
    points = losses.between(real[:SLOPES], generated[:SLOPES], players.noise)
    slopes = losses.gradient_norms(partial(critic, labels=labels[:SLOPES]), points)
    critic.train()
    values = {
        "loss/critic": critic_loss.item(),
        "loss/generator": of_generator.loss.item(),
        "critic/real": on_real.mean().item(),
        "critic/generated": on_generated.mean().item(),
        "critic/wasserstein": (on_real.mean() - on_generated.mean()).item(),
        "critic/slope": slopes.mean().item(),
        "training/generator_gradient_norm": gradient_norm(players.generator.parameters()),
        "training/critic_gradient_norm": gradient_norm(critic.parameters()),
        "training/diversity": diversity(of_generator.images, real),
        "training/network_evaluations": float(spent.network_evaluations),
        "training/epoch": spent.epochs,
    }
    if config.log_odds:
        values["discriminator/real"] = on_real.sigmoid().mean().item()
        values["discriminator/generated"] = on_generated.sigmoid().mean().item()
    if config.loss == "wgan":
        values["critic/at_clip"] = losses.share_at_clip(critic, config.clip or math.inf)
    return values


def diversity(generated: Tensor, real: Tensor) -> float:
    """How many times as much two generated images differ as two real ones; 1 where real ones are all alike."""
    of_real = mean_distance(real)
    return mean_distance(generated) / of_real if of_real else 1.0


def mean_distance(images: Tensor) -> float:
    """Mean Euclidean distance of two of the first images."""
    return float(torch.pdist(images[:PAIRED].detach().flatten(1)).mean())


def gradient_norm(weights: Iterable[nn.Parameter]) -> float:
    """The norm of the gradients of all weights together."""
    return float(nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None]))
