"""What training minimises: errors of the decoded cloud, the likelihood of the noisy one, the consistency of codes."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from models.points.batches import Batch
from models.points.config import Config
from models.points.networks import PointFlow, log_prior

HUBER = 1.0  # errors beyond it, in units of a neighbourhood, count in proportion: background points are far away


class Losses(NamedTuple):
    """Means over points; coordinates in units of a neighbourhood."""

    total: Tensor
    surface: Tensor  # of the decoded cloud, to the nearest of the dense clean points
    paired: Tensor  # to the own clean place of each point
    nll: Tensor  # nats a channel: a bound, for the augmentation is drawn
    consistency: Tensor  # squared distance to the code of the clean cloud; 0 where it is not asked for


def losses(config: Config, flow: PointFlow, batch: Batch, generator: Generator) -> Losses:
    """Of noisy clouds. Distances to the nearest clean point let points move along the surface, as the objective does."""
    noisy, clean, dense = batch
    graph = flow.graph(noisy)
    drawn = torch.randn((*noisy.shape[:2], config.augmentation), generator=generator, device=noisy.device)
    x, e, density = flow.augmented(noisy, graph, drawn)
    code, log_determinant = flow.encode(x, e, graph.indices)
    nll = -(log_prior(code) + log_determinant - density).mean() / code.shape[2]
    without = flow.without_noise(code)
    decoded, _ = flow.decode(without, graph.indices)
    clean, dense = ((places - graph.centre) / graph.unit for places in (clean, dense))
    with torch.no_grad():
        nearest = torch.cdist(decoded, dense).argmin(2, keepdim=True).expand(-1, -1, 3)
    surface = F.huber_loss(decoded, dense.gather(1, nearest), delta=HUBER)
    paired = F.huber_loss(decoded, clean, delta=HUBER)
    total, distance = surface + config.paired * paired + config.nll_weight * nll, torch.zeros(())
    if config.disentangle == "consistency":
        x, e, _ = flow.augmented(clean * graph.unit + graph.centre, graph)
        of_clean, _ = flow.encode(x, e, graph.indices)
        distance = (without - of_clean).square().mean()
        total = total + config.consistency * distance
    return Losses(total, surface, paired, nll, distance)
