"""The trained energy whose chains are compared, and the reference values that their samples are read against."""

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import greenlet
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from models.data import dataset as datasets
from models.ebm.config import BOUNDS
from models.ebm.config import Config as TrainedConfig
from models.ebm.networks import network as untrained_network
from models.env import Env
from models.events import Compute, Event
from models.parts.evaluation import judge as judges
from models.parts.evaluation.quality import Quality
from models.parts.networks.blocks import restored
from models.parts.training import cache
from samplers import starts
from samplers.kernel import energy_and_gradient


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """All that trials on one network have in common; made once in a process."""

    config: TrainedConfig
    network: nn.Module
    data: datasets.Data
    quality: Quality
    anchors: Mapping[str, float]
    real_energy: float  # mean over real images

    def energies(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Energies (n,) and their gradients (n, *shape)."""
        return energy_and_gradient(self.network, x)


@lru_cache(maxsize=2)
def load(model: str, data: str, data_folder: Path, cache_folder: Path, device: str, samples: int) -> TrainedNetwork:
    """The trained network in the folder ``model``, with reference values for ``samples`` images."""
    dataset = datasets.load(data, data_folder)
    config, network = load_network(model, dataset.shape, device)
    judge = cache.at_once(judges.obtain(dataset, cache_folder, device))
    quality = Quality.against_validation(judge, dataset, samples)
    generator = Env(data, 0, device).generator("anchors")
    noise = starts.uniform(samples, dataset.shape, BOUNDS, generator)
    order = torch.randperm(len(dataset.train), generator=generator, device=device)
    real_images = dataset.train.floats(order[:samples].cpu())
    anchors = {"fid/real": quality.fid(real_images), "fid/start": quality.fid(noise)}
    with torch.no_grad():
        real_energy = float(network(dataset.validation.floats()[:samples].to(device)).mean())
    return TrainedNetwork(config, network, dataset, quality, anchors, real_energy)


def load_network(model: str, shape: tuple[int, int, int], device: str) -> tuple[TrainedConfig, nn.Module]:
    """The settings and the network that a trial of ``ebm`` left in the folder ``model``."""
    description = json.loads(Path(model, "model.json").read_text())
    config = TrainedConfig.model_validate(description["config"])
    weights = load_file(Path(model, "weights.safetensors"))
    return config, restored(untrained_network(config, shape), weights, device)


def requested_energy(x: Tensor) -> Tensor:
    """An energy (n,) at ``x`` that the parent of this greenlet computes, with its gradient: the tangent plane at ``x``."""
    energy, gradient = greenlet.getcurrent().parent.switch(x.detach())
    tangent: Tensor = energy + ((x - x.detach()) * gradient).flatten(1).sum(1)
    return tangent


def compute_together(
    trained: TrainedNetwork, largest_batch: int, action: Callable[[], Any]
) -> Generator[Event, Any, Any]:
    """The result of ``action``. Each call of ``requested_energy`` in it goes out as a ``Compute``: trials share the network."""
    worker = greenlet.greenlet(action)
    result = worker.switch()
    while not worker.dead:
        result = worker.switch((yield Compute(trained.energies, result, largest_batch)))
    return result
