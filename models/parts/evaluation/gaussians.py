"""The rival that a generative model of images should beat: a mixture of Gaussians, one for each class of the data."""

import torch
from torch import Generator, Tensor

from models.data.dataset import Split
from models.parts.evaluation.classes import in_turn


def mixture_images(split: Split, classes: int, n: int, generator: Generator) -> Tensor:
    """``n`` samples (n, *shape) of the mixture that is fitted to ``split``, cut to [-1, 1]; as many of each class.

    Each Gaussian has the mean and the full covariance of the m images of its class. Normal numbers z give a sample of it
    as μ + Σ zᵢ(xᵢ − μ)/√m, without the covariance itself.
    """
    device = str(generator.device)
    labels = in_turn(n, classes, device)
    x = torch.empty(n, *split.shape, device=device)
    for label in range(classes):
        images = split.floats((split.labels == label).nonzero()[:, 0]).to(device)
        chosen = labels == label
        z = torch.randn(int(chosen.sum()), len(images), generator=generator, device=device)
        mean = images.mean(0)
        x[chosen] = mean + ((z @ (images - mean).flatten(1)) / len(images) ** 0.5).view(-1, *split.shape)
    return x.clamp(-1, 1)
