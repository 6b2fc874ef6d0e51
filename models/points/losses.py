"""What training minimises: the error of the decoded cloud, the likelihood of the noisy one, the consistency of codes."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from models.points.config import Config
from models.points.networks import PointFlow, log_prior

HUBER = 1.0  # errors beyond it, in units of a neighbourhood, count in proportion: background points are far away


class Losses(NamedTuple):
    """Means over points; coordinates in units of a neighbourhood."""

    total: Tensor
    error: Tensor  # of the decoded cloud
    nll: Tensor  # nats a channel: a bound, for the augmentation is drawn
    consistency: Tensor  # squared distance to the code of the clean cloud; 0 where it is not asked for


def losses(config: Config, flow: PointFlow, noisy: Tensor, clean: Tensor, generator: Generator) -> Losses:
    """Of noisy clouds (n, points, 3) and where each point belongs (n, points, 3)."""
    graph = flow.graph(noisy)
    drawn = torch.randn((*noisy.shape[:2], config.augmentation), generator=generator, device=noisy.device)
    x, e, density = flow.augmented(noisy, graph, drawn)
    code, log_determinant = flow.encode(x, e, graph.indices)
    nll = -(log_prior(code) + log_determinant - density).mean() / code.shape[2]
    without = flow.without_noise(code)
    decoded, _ = flow.decode(without, graph.indices)
    error = F.huber_loss(decoded, (clean - graph.centre) / graph.unit, delta=HUBER)
    total, distance = error + config.nll_weight * nll, torch.zeros(())
    if config.disentangle == "consistency":
        x, e, _ = flow.augmented(clean, graph)
        of_clean, _ = flow.encode(x, e, graph.indices)
        distance = (without - of_clean).square().mean()
        total = total + config.consistency * distance
    return Losses(total, error, nll, distance)
