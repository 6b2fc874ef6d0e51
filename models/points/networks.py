"""A flow on points: (coordinates, augmentation channels) ↔ code, with its log-determinant, and the denoiser made of it.

After PD-Flow (Mao et al. 2022, arXiv:2203.05940): noise leaves in the latent code, and the inverse decodes what is left, both
with the neighbours of the noisy cloud. Given these, the map is invertible and its density exact (of the augmented point).
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.parts.training.workload import Workload
from models.points.config import Config
from models.points.neighbourhoods import PLANE, gather, nearest, offset_to_mean, offset_to_plane

BOUND = 2.0  # of the logarithm of a scale, both ways


class Graph(NamedTuple):
    """What is known of noisy clouds besides their coordinates, and is no variable of the flow."""

    indices: Tensor  # (n, points, k) of the neighbours
    centre: Tensor  # (n, 1, 3)
    unit: Tensor  # (n, 1, 1): the size of a neighbourhood, which is 1 in the flow


def zeroed(layer: nn.Linear) -> nn.Linear:
    """The layer with all weights 0: a coupling changes nothing at first."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class EdgeConvolution(nn.Module):
    """max over neighbours j of ReLU(A f_i + B (f_j − f_i)): Wang et al. 2019 (arXiv:1801.07829), with one layer.

    ReLU grows, so the maximum is taken before it. With ``relative`` A is 0 and shifting all f changes nothing.
    """

    def __init__(self, channels_in: int, channels_out: int, relative: bool = False) -> None:
        super().__init__()
        self.own = None if relative else nn.Linear(channels_in, channels_out, bias=False)
        self.difference = nn.Linear(channels_in, channels_out)

    def forward(self, features: Tensor, indices: Tensor) -> Tensor:
        mapped = F.linear(features, self.difference.weight)
        largest = gather(mapped, indices).amax(2) - mapped + self.difference.bias
        return F.relu(largest if self.own is None else largest + self.own(features))


class Coupling(nn.Module):
    """What the other channels (n, points, channels_in) say of some: a network on edges and two layers for each point."""

    def __init__(self, channels_in: int, channels_out: int, width: int, relative: bool) -> None:
        super().__init__()
        self.edges = EdgeConvolution(channels_in, width, relative)
        self.layers = nn.Sequential(nn.Linear(width, width), nn.ReLU(), zeroed(nn.Linear(width, channels_out)))
        self.skip = None if relative else zeroed(nn.Linear(channels_in, channels_out))

    def forward(self, features: Tensor, indices: Tensor) -> Tensor:
        y: Tensor = self.layers(self.edges(features, indices))
        return y if self.skip is None else y + self.skip(features)


class Step(nn.Module):
    """Actnorm and 1×1 mixing of the augmentation; then it moves the coordinates, and they scale and shift it.

    Coordinates are moved and never scaled, so that a cloud elsewhere is denoised alike.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.log_scale, self.shift = (nn.Parameter(torch.zeros(channels)) for _ in range(2))
        self.mixing = nn.Parameter(torch.eye(channels))
        self.move = Coupling(channels, 3, width, relative=False)
        self.affine = Coupling(3, 2 * channels, width, relative=True)

    def initialise(self, e: Tensor) -> None:
        """Actnorm from data: channels of ``e`` get mean 0 and deviation 1 (Kingma and Dhariwal 2018, arXiv:1807.03039)."""
        with torch.no_grad():
            self.log_scale.copy_(-e.flatten(0, 1).std(0).clamp_min(1e-3).log())
            self.shift.copy_(-e.flatten(0, 1).mean(0) * self.log_scale.exp())

    def _scale(self, x: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
        raw, shift = self.affine(x, indices).chunk(2, 2)
        return BOUND * torch.tanh(raw / BOUND), shift

    def forward(self, x: Tensor, e: Tensor, indices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Coordinates, augmentation and the log-determinant (n, points) of both."""
        e = (e * self.log_scale.exp() + self.shift) @ self.mixing
        x = x + self.move(e, indices)
        log_scale, shift = self._scale(x, indices)
        constant = self.log_scale.sum() + torch.linalg.slogdet(self.mixing).logabsdet
        return x, e * log_scale.exp() + shift, log_scale.sum(2) + constant

    def inverse(self, x: Tensor, e: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift = self._scale(x, indices)
        e = (e - shift) * (-log_scale).exp()
        x = x - self.move(e, indices)
        return x, (e @ torch.linalg.inv(self.mixing) - self.shift) * (-self.log_scale).exp()


class Augmentation(nn.Module):
    """A Gaussian of the augmentation channels of each point, by what its neighbourhood looks like: mean and log deviation."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, known = config.width, 13 if config.features == "planes" else 7
        self.planes, self.channels = config.features == "planes", config.augmentation
        self.patch = nn.Sequential(nn.Linear(4, width // 2), nn.ReLU(), nn.Linear(width // 2, width))
        self.edges = EdgeConvolution(width + known, width)
        self.last = nn.Linear(2 * width + known, 2 * config.augmentation)

    def forward(self, x: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            neighbours = gather(x, indices)
            offsets = [offset_to_mean(x, neighbours[:, :, :k]) for k in (4, neighbours.shape[2])]
            if self.planes:
                offsets += [offset_to_plane(x, neighbours[:, :, :k]) for k in (PLANE, neighbours.shape[2])]
            places = neighbours - x[:, :, None]
            distances = places.norm(dim=3, keepdim=True)
            known = torch.cat([*offsets, distances[:, :, -1]], 2)
        patch = F.relu(self.patch(torch.cat([places, distances], 3)).amax(2))
        features = torch.cat([patch, known], 2)
        mean, log_deviation = self.last(torch.cat([self.edges(features, indices), features], 2)).chunk(2, 2)
        return mean, 3 * torch.tanh(log_deviation / 3) - 3


class PointFlow(nn.Module):
    """Called with noisy clouds (n, points, 3) it returns them denoised, ``iterations`` times, in the order of their points."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.neighbours, self.iterations = config.neighbours, config.iterations
        self.masked = config.masked if config.disentangle == "mask" else 0
        self.augmentation = Augmentation(config)
        self.steps = nn.ModuleList([Step(config.augmentation, config.width) for _ in range(config.steps)])
        self.log_scale = nn.Parameter(torch.zeros(()))  # of the coordinates before the prior, the same for all three
        self.clean = nn.Parameter(torch.eye(3 + config.augmentation)) if config.disentangle == "consistency" else None
        if self.clean is not None:  # the identity would leave couplings without a gradient
            nn.init.orthogonal_(self.clean.data[3:, 3:])

    def graph(self, clouds: Tensor) -> Graph:
        """Neighbours, centre and the median distance to the last neighbour, of noisy clouds."""
        indices, distances = nearest(clouds, self.neighbours)
        unit = distances[:, :, -1].median(1).values[:, None, None]
        return Graph(indices, clouds.mean(1, keepdim=True), unit.clamp_min(1e-6))

    def augmented(self, clouds: Tensor, graph: Graph, noise: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Coordinates in units of a neighbourhood, augmentation, and the log density (n, points) of the latter.

        ``noise`` is standard normal (n, points, augmentation); None: the mean.
        """
        x = (clouds - graph.centre) / graph.unit
        mean, log_deviation = self.augmentation(x, graph.indices)
        noise = torch.zeros_like(mean) if noise is None else noise
        density = -(log_deviation + noise.square() / 2 + math.log(2 * math.pi) / 2).sum(2)
        return x, mean + log_deviation.exp() * noise, density

    def initialise(self, clouds: Tensor) -> None:
        """The scales of actnorm from a first batch; later calls are the caller's mistake, so it is called once, by training."""
        with torch.no_grad():
            graph = self.graph(clouds)
            x, e, _ = self.augmented(clouds, graph)
            for step in self.steps:
                assert isinstance(step, Step)
                step.initialise(e)
                x, e, _ = step(x, e, graph.indices)
            self.log_scale.copy_(-x.std().log())

    def encode(self, x: Tensor, e: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
        """The code (n, points, 3 + augmentation) and the log-determinant (n, points)."""
        total = 3 * self.log_scale + torch.zeros_like(x[:, :, 0])
        for step in self.steps:
            x, e, log_determinant = step(x, e, indices)
            total = total + log_determinant
        return torch.cat([x * self.log_scale.exp(), e], 2), total

    def decode(self, code: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates and augmentation, the inverse of ``encode``."""
        x, e = code[:, :, :3] * (-self.log_scale).exp(), code[:, :, 3:]
        for step in reversed(self.steps):
            assert isinstance(step, Step)
            x, e = step.inverse(x, e, indices)
        return x, e

    def without_noise(self, code: Tensor) -> Tensor:
        """The code with channels set to 0, or by the learned matrix."""
        if self.clean is not None:
            return code @ self.clean
        return torch.cat([code[:, :, : -self.masked], torch.zeros_like(code[:, :, -self.masked :])], 2)

    def denoised(self, clouds: Tensor) -> Tensor:
        """Once, without augmentation noise."""
        graph = self.graph(clouds)
        x, e, _ = self.augmented(clouds, graph)
        code, _ = self.encode(x, e, graph.indices)
        x, _ = self.decode(self.without_noise(code), graph.indices)
        return x * graph.unit + graph.centre

    def forward(self, clouds: Tensor) -> Tensor:
        for _ in range(self.iterations):
            clouds = self.denoised(clouds)
        return clouds


def log_prior(code: Tensor) -> Tensor:
    """Standard normal, summed over channels: (n, points)."""
    return -(code.square() / 2 + math.log(2 * math.pi) / 2).sum(2)


def network(config: Config, shape: tuple[int, ...] = ()) -> PointFlow:
    """The untrained network for clouds of any size; its weights come from torch's global generator."""
    return PointFlow(config)


def takes(config: Config, shape: tuple[int, ...] = ()) -> tuple[int, ...]:
    """The shape of an input: a noisy cloud."""
    return config.points, 3


def workload(config: Config, shape: tuple[int, ...] = ()) -> Workload:
    """What the training computes, without its evaluations."""
    flow = network(config)
    return Workload(config.updates, config.batch_size, lambda n: flow.denoised(torch.rand(n, *takes(config))))
