"""Blocks and flows of small images, away from their beginning, in double precision."""

from typing import Any

import torch
from torch import nn

from models.flow.config import Config
from models.flow.networks import Flow, network
from models.parts.training.optimisation import seeded_init

SHAPE = (1, 8, 8)


def disturbed(module: nn.Module, amount: float = 0.1) -> nn.Module:
    """Its weights moved at random: what begins at 0 is not there any more."""
    generator = torch.Generator().manual_seed(0)
    module.double().requires_grad_(False)
    for weight in module.parameters():
        weight += amount * torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
    return module


def flow(shape: tuple[int, int, int] = SHAPE, **changes: Any) -> Flow:
    """A disturbed flow of pixels."""
    with seeded_init(0):
        made = network(Config.model_validate({"width": 6, "steps": 2, **changes}), shape)
    disturbed(made)
    return made


def pixels(n: int, shape: tuple[int, int, int] = SHAPE) -> torch.Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
