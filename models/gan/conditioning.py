"""What the two rivals are told of classes: nothing, the critic alone those of real images, or both."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from models.data.dataset import Data, DataError
from models.gan.config import Config


def check_classes(config: Config, data: Data) -> None:
    """Raises DataError where the data have more classes than the networks have room for."""
    if config.labels != "none" and len(data.classes) > config.classes:
        raise DataError(
            f"{data.name} has {len(data.classes)} classes and classes={config.classes}; say --set classes={len(data.classes)}"
        )


def generator_input(config: Config, noise: Tensor, labels: Tensor) -> Tensor:
    """What the generator is given, (n, inputs): noise (n, latent_size), and with labels=both a one for the class besides."""
    return torch.cat([noise, F.one_hot(labels, config.classes)], 1) if config.labels == "both" else noise


def values(config: Config, logits: Tensor, labels: Tensor) -> Tensor:
    """The critic's values (n,) by its last layer (n, outputs), for images of classes ``labels`` (n,), or asked to be.

    - none: the one number there is.
    - critic: the logarithm of the mean of the exponentials, for real is what is a real image of any class
      (Salimans et al. 2016, arXiv:1606.03498).
    - both: a number for all and one for the class, which is the projection of Miyato and Koyama 2018, arXiv:1802.05637.
    """
    if config.labels == "both":
        return logits[:, 0] + logits[:, 1:].gather(1, labels[:, None])[:, 0]
    return logits.logsumexp(1) - math.log(logits.shape[1])


def class_loss(config: Config, logits: Tensor, labels: Tensor) -> Tensor:
    """The cross-entropy of the classes that the critic reads in real images; 0 where it is told none."""
    if config.labels == "none":
        return logits.new_zeros(())
    return F.cross_entropy(logits[:, -config.classes :], labels)
