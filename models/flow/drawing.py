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


def drawn(flow: Flow, noise: Tensor, temperature: float, labels: Tensor | None = None) -> Tensor:
    """Pixels (n, *shape) of standard normal ``noise`` of that shape, times ``temperature``; those of images are in [0, 1)."""
    with torch.no_grad():
        parts = [
            flow.decode(
                flow.split_noise(temperature * batch), None if labels is None else labels[first : first + BATCH]
            )
            for first, batch in zip(range(0, len(noise), BATCH), torch.split(noise, BATCH), strict=True)
        ]
    return torch.cat(parts)


def draw(flow: Flow, n: int, temperature: float, generator: Generator, first: int = 0) -> Tensor:
    """``n`` images in [-1, 1], of each class in turn from number ``first`` where the flow knows classes."""
    noise = standard_noise(n, flow.shape, generator)
    labels = labels_in_turn(flow, n, str(generator.device), first)
    return flow.images(drawn(flow, noise, temperature, labels))
