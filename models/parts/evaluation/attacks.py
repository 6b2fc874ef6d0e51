"""Adversarial images: how much accuracy is left when each pixel may move by ε against the classifier."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

BOUNDS = (-1.0, 1.0)
STEPS = 10  # of projected gradient descent
BATCH = 256  # images at a time


def fgsm(network: nn.Module, x: Tensor, labels: Tensor, epsilon: float) -> Tensor:
    """One step of ε along the sign of the loss's gradient: Goodfellow et al. 2015, arXiv:1412.6572. Shape of ``x``."""
    return (x + epsilon * _ascent(network, x, labels)).clamp(*BOUNDS)


def pgd(network: nn.Module, x: Tensor, labels: Tensor, epsilon: float, generator: Generator) -> Tensor:
    """Ten such steps of ε/4 from anywhere within ±ε, kept within it: Madry et al. 2018, arXiv:1706.06083. Shape of ``x``."""
    moved = x + torch.empty_like(x).uniform_(-epsilon, epsilon, generator=generator)
    for _ in range(STEPS):
        moved = moved.clamp(*BOUNDS)
        moved = moved + 2.5 * epsilon / STEPS * _ascent(network, moved, labels)
        moved = torch.maximum(torch.minimum(moved, x + epsilon), x - epsilon)
    return moved.clamp(*BOUNDS)


def accuracies(
    network: nn.Module, x: Tensor, labels: Tensor, epsilons: Sequence[float], generator: Generator
) -> dict[str, list[float]]:
    """Share of images (n, *shape) in [−1, 1] still read as their ``labels`` (n,) at each ε, after "FGSM" and after "PGD".

    The network is taken as it is: put it into eval mode first. Its weights get no gradients.
    """
    shares: dict[str, list[float]] = {"FGSM": [], "PGD": []}
    for epsilon in epsilons:
        right = {name: 0 for name in shares}
        for batch, truth in zip(torch.split(x, BATCH), torch.split(labels, BATCH), strict=True):
            moved = {
                "FGSM": fgsm(network, batch, truth, epsilon),
                "PGD": pgd(network, batch, truth, epsilon, generator),
            }
            for name, images in moved.items():
                with torch.no_grad():
                    right[name] += int((network(images).argmax(1) == truth).sum())
        for name, count in right.items():
            shares[name].append(count / len(x))
    return shares


def _ascent(network: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(network(x), labels), x)
    return gradient.sign()
