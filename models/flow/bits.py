"""What a flow says of images: their bits per dimension, and whether they come back from their noise."""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from models.flow.networks import Flow
from models.parts.evaluation import likelihood

DRAWS = 4  # of where in its cell each pixel is
BATCH = 250  # images at a time
INVERTED = 64  # images of an inverse error


def pixels(images: Tensor, levels: int, generator: Generator) -> Tensor:
    """Images in [-1, 1] as a flow takes them: in [0, 1), each pixel drawn anew within the cell of its level."""
    return likelihood.dequantise(likelihood.ranks(images, levels), levels, generator)


def log_densities(flows: Sequence[Flow], images: Tensor, generator: Generator, draws: int = DRAWS) -> Tensor:
    """log p of each image (n, …) by flows of the same levels: (flows, draws, n), in nats, without gradients.

    In each draw the pixels are placed within their cells anew, in the same places for all flows.
    """

    def batch_densities(batch: Tensor) -> Tensor:
        x = pixels(batch, int(flows[0].levels), generator)
        return torch.stack([flow.log_density(x, generator=generator) for flow in flows])

    with torch.no_grad():
        rows = [torch.cat([batch_densities(batch) for batch in torch.split(images, BATCH)], 1) for _ in range(draws)]
    return torch.stack(rows, 1)


def scores(flow: Flow, images: Tensor, generator: Generator, name: str = "") -> dict[str, float]:
    """Bits per dimension of images by the mean of the draws, the bound that is published, and by the log of their mean.

    The second, ``…_importance``, is a tighter upper bound on the bits of the stored images.
    """
    nats, cell = log_densities([flow], images, generator)[0], 1 / int(flow.levels)
    values = likelihood.scores(nats.mean(0), flow.shape, name, cell)
    tighter = nats.logsumexp(0) - math.log(len(nats))
    values[f"likelihood/bits_per_dimension_importance{name}"] = likelihood.bits(
        float(tighter.double().mean()), flow.shape, cell
    )
    return values


def inverse_error(flow: Flow, images: Tensor, labels: Tensor, generator: Generator) -> float:
    """The largest difference of a pixel in [0, 1) from itself, after the flow and its inverse, over some images."""
    x = pixels(images[:INVERTED], int(flow.levels), generator)
    with torch.no_grad():
        given = labels[:INVERTED].to(x.device)
        back = flow.decode(flow.encode(x, given, generator).noise, given)
    return float((back - x).abs().max())
