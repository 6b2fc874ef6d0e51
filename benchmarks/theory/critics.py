"""Critics of numbers: small networks, one for each replicate, that learn side by side by the losses of the GANs."""

import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from models.gan import losses
from models.gan.config import Config

HIDDEN = 32
LEARNING_RATE = 3e-3
PENALTY = 10.0  # λ of wgan_gp, the recipe's
RAMP = 0.3  # share of training over which λ rises from 0
Sampler = Callable[[Generator], Tensor]  # (replicates, n) samples


class Critics(nn.Module):
    """As many independent networks as there are replicates: (replicates, n) numbers to (replicates, n) values."""

    def __init__(self, replicates: int, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        sizes = (1, HIDDEN, HIDDEN, 1)
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True):
            bound = 1 / math.sqrt(inputs)
            for parameters, shape in ((self.weights, (inputs, outputs)), (self.biases, (1, outputs))):
                start = torch.rand(replicates, *shape, generator=generator) * 2 - 1
                parameters.append(nn.Parameter(start * bound))

    def forward(self, x: Tensor) -> Tensor:
        h = x[..., None]
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = torch.baddbmm(bias, h if layer == 0 else F.silu(h), weight)
        return h[..., 0]

    def flat(self, x: Tensor) -> Tensor:
        """The same of numbers in one column, replicate after replicate: (replicates · n, 1) to (replicates · n,)."""
        return self(x.view(len(self.weights[0]), -1)).flatten()

    def slopes(self, x: Tensor) -> Tensor:
        """∂V/∂x at each x, (replicates, n)."""
        x = x.detach().requires_grad_()
        (slopes,) = torch.autograd.grad(self(x).sum(), x)
        return slopes


def train(
    critics: Critics, config: Config, real: Sampler, generated: Sampler, updates: int, seed: int = 0
) -> Iterator[int]:
    """Teach critics ``config.loss`` with new samples at each update; yields how many updates were made, from 0 on.

    On a line the penalty (|V'| − 1)² has two wells, and a critic that begins in the wrong one stays: so λ rises from 0.
    """
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(critics.parameters(), LEARNING_RATE, betas=(0.5, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    for update in range(updates):
        yield update
        x, y = real(generator), generated(generator)
        loss = losses.critic_loss(config, critics(x).flatten(), critics(y).flatten())
        if config.loss == "wgan_gp":
            points = torch.lerp(x, y, torch.rand(x.shape, generator=generator))
            loss = loss + PENALTY * min(1.0, update / (RAMP * updates)) * losses.penalty(
                critics.flat, points.view(-1, 1)
            )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    yield updates
