"""New images of a flow: noise of all scales, perhaps cooled, and its inverse."""

import torch
from torch import Generator, Tensor

from models.flow.networks import Flow
from models.parts.evaluation.classes import in_turn

BATCH = 250  # images at a time


def standard_noise(n: int, shape: tuple[int, ...], generator: Generator) -> Tensor:
    """(n, *shape) on the device of ``generator``."""
    return torch.empty(n, *shape, device=generator.device).normal_(generator=generator)


def labels_in_turn(flow: Flow, n: int, device: str, first: int = 0) -> Tensor | None:
    """Labels (n,) of new images from number ``first``, each class in turn; None for a flow that knows none."""
    return in_turn(n, flow.top.classes, device, first) if flow.top.classes else None


def drawn(
    flow: Flow, noise: Tensor, temperature: float, labels: Tensor | None = None, fine: float | None = None
) -> Tensor:
    """Pixels (n, *shape) of standard normal ``noise`` of that shape; those of images are in [0, 1).

    Noise is multiplied by ``temperature``, that of all scales but the last by ``fine`` where it is given.
    """
    pixels = []
    with torch.no_grad():
        for first, batch in zip(range(0, len(noise), BATCH), torch.split(noise, BATCH), strict=True):
            *leaving, top = flow.split_noise(batch)
            parts = [part * (temperature if fine is None else fine) for part in leaving]
            given = None if labels is None else labels[first : first + BATCH]
            pixels.append(flow.decode([*parts, temperature * top], given))
    return torch.cat(pixels)
