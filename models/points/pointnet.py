"""A small PointNet: says the class of a cloud, and is trained once on clean ones (Qi et al. 2017, arXiv:1612.00593)."""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from models.data.clouds.dataset import Clouds
from models.env import derive_seed
from models.events import Event, Progress
from models.parts.networks.blocks import weights_digest
from models.parts.training import cache
from models.parts.training.classifier import learn
from models.parts.training.optimisation import seeded_init

VERSION = "1"
UPDATES, BATCH, POINTS = 500, 32, 256  # of its training: points that it sees of each cloud
LEARNING_RATE, JITTER = 3e-3, 0.01


class PointNet(nn.Module):
    """Clouds (n, points, 3) to logits (n, classes): the same layers for each point, a maximum over points, two layers."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        sizes = (3, 32, 64, 128)
        layers: list[nn.Module] = []
        for before, after in zip(sizes[:-1], sizes[1:], strict=True):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.points = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(sizes[-1], 64), nn.ReLU(), nn.Linear(64, classes))

    def forward(self, clouds: Tensor) -> Tensor:
        logits: Tensor = self.head(self.points(clouds).amax(1))
        return logits


@dataclass(frozen=True, eq=False)
class Judge:
    """A trained PointNet; its weights never change."""

    network: PointNet
    digest: str

    def accuracy(self, clouds: Iterable[Tensor], labels: Tensor) -> float:
        """The share of clouds (points, 3), of any number of points each, that it reads as their labels."""
        device = next(self.network.parameters()).device
        with torch.no_grad():
            answers = torch.stack([self.network(cloud[None].to(device)).argmax() for cloud in clouds])
        return float((answers.cpu() == labels.cpu()).float().mean())


def obtain(data: Clouds, cache_folder: Path, device: str) -> Generator[Event, None, Judge]:
    """The judge of ``data``, from the cache or trained now; a damaged file is made anew."""
    path = cache_folder / f"pointnet-{VERSION}-{data.digest[:16]}.safetensors"

    def keep(judge: Judge) -> None:
        cache.write(path, judge.network.state_dict(), "judge", {"digest": judge.digest})

    begins = Progress("judge", 0, UPDATES)
    yield begins
    return (
        yield from cache.shared(path, lambda: _read(path, data, device), lambda: _train(data, device), keep, begins)
    )


def _train(data: Clouds, device: str) -> Generator[Event, None, Judge]:
    seed = derive_seed("pointnet", VERSION, data.digest)
    with seeded_init(seed):
        network = PointNet(len(data.classes)).to(device)
    generator = torch.Generator(device).manual_seed(seed)
    clouds, labels = data.train.clouds.to(device), data.train.labels.to(device)
    for step in learn(network, clouds, labels, UPDATES, BATCH, LEARNING_RATE, generator, _vary(generator)):
        if step.done % 10 == 0:
            yield Progress("judge", step.done, UPDATES)
    return _judge(network)


def _vary(generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    def vary(clouds: Tensor) -> Tensor:
        """Some points of each cloud, with a little noise."""
        chosen = torch.randint(clouds.shape[1], (POINTS,), generator=generator, device=clouds.device)
        sample = clouds[:, chosen]
        return sample + JITTER * torch.randn(sample.shape, generator=generator, device=sample.device)

    return vary


def _judge(network: PointNet) -> Judge:
    network.eval().requires_grad_(False)
    return Judge(network, weights_digest(network))


def _read(path: Path, data: Clouds, device: str) -> Judge | None:
    """The judge in the cache; None where there is none, or none that is whole."""
    try:
        weights, metadata = cache.read(path, "judge")
        with seeded_init(0):  # overwritten at once
            network = PointNet(len(data.classes))
        network.load_state_dict(weights)
        judge = _judge(network)
        if judge.digest != metadata["digest"]:
            return None
    except cache.DAMAGED:
        return None
    judge.network.to(device)
    return judge
