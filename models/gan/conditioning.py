"""What the two rivals are told of images: nothing, clusters, classes; or what the generator hides in its own."""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from models.data.dataset import Data, DataError
from models.gan.config import Config


def check_classes(config: Config, data: Data) -> None:
    """Raises DataError where the data have more classes than the networks have room for, or fewer images than clusters."""
    if config.labels in ("critic", "both") and len(data.classes) > config.classes:
        raise DataError(
            f"{data.name} has {len(data.classes)} classes and classes={config.classes}; say --set classes={len(data.classes)}"
        )
    if config.labels == "clusters" and len(data.train) < config.clusters:
        raise DataError(
            f"{data.name} has {len(data.train)} training images, too few for clusters={config.clusters}; "
            f"say --set clusters={max(2, len(data.train) // 10)}"
        )


def hidden(config: Config) -> bool:
    """Whether the generator hides a class in each image that the critic learns to read (InfoGAN)."""
    return config.labels == "none" and config.hidden_classes > 0


def conditions(config: Config, labels: Tensor, generator: Generator) -> Tensor:
    """What generated images are to be (n,), beside real ones of ``labels`` (n,): the same, or a hidden class by chance."""
    if not hidden(config):
        return labels
    return torch.randint(config.hidden_classes, labels.shape, generator=generator, device=labels.device)


def generator_input(config: Config, noise: Tensor, labels: Tensor) -> Tensor:
    """What the generator is given, (n, inputs): noise (n, latent_size), and a one for what the image is to be."""
    return torch.cat([noise, F.one_hot(labels, config.conditions)], 1) if config.conditions else noise


def values(config: Config, logits: Tensor, labels: Tensor) -> Tensor:
    """The critic's values (n,) by its last layer (n, outputs), for images of classes ``labels`` (n,), or asked to be.

    - none: the one number there is, beside those that read the hidden class.
    - critic: the logarithm of the mean of the exponentials, for real is what is a real image of any class
      (Salimans et al. 2016, arXiv:1606.03498).
    - clusters, both: a number for all and one for the class, the projection of Miyato and Koyama 2018, arXiv:1802.05637.
    """
    if config.labels == "critic":
        return logits.logsumexp(1) - math.log(logits.shape[1])
    if config.labels == "none":
        return logits[:, 0]
    return logits[:, 0] + logits[:, 1:].gather(1, labels[:, None])[:, 0]


def class_loss(config: Config, logits: Tensor, labels: Tensor) -> Tensor:
    """The cross-entropy of the classes that the critic reads in real images; 0 where it is told none."""
    if config.labels == "none":
        return logits.new_zeros(())
    return F.cross_entropy(logits[:, -labels_of(config) :], labels)


def hidden_loss(config: Config, logits: Tensor, hidden_labels: Tensor) -> Tensor:
    """The cross-entropy of the hidden classes that the critic reads in generated images, which both networks minimise.

    Chen et al. 2016, arXiv:1606.03657: a bound of the mutual information of an image and its hidden class. 0 without one.
    """
    return F.cross_entropy(logits[:, 1:], hidden_labels) if hidden(config) else logits.new_zeros(())


def labels_of(config: Config) -> int:
    """Classes or clusters that the critic tells apart in real images."""
    return config.clusters if config.labels == "clusters" else config.classes
