"""Where chains begin."""

import torch
from torch import Generator, Tensor


def uniform(n: int, shape: tuple[int, ...], bounds: tuple[float, float], generator: Generator) -> Tensor:
    """(n, *shape) independent values, uniform between the bounds, on the generator's device."""
    low, high = bounds
    return torch.empty(n, *shape, device=generator.device).uniform_(low, high, generator=generator)
