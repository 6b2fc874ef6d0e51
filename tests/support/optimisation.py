"""A step of training by hand, to compare with a trainer's."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def step(optimizer: torch.optim.Optimizer, losses: Iterable[tuple[Tensor, nn.Module]], largest: float) -> list[float]:
    """One step down the gradient of each loss in its network's weights, cut to a norm of ``largest``; the norms before."""
    norms = []
    for loss, network in losses:
        weights = [weight for weight in network.parameters() if weight.requires_grad]
        gradients = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
        norms.append(torch.cat([gradient.flatten() for gradient in gradients]).norm().item())
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient * min(1.0, largest / norms[-1])
    optimizer.step()
    return norms
