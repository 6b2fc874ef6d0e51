"""The trained energy whose chains are compared, and the reference values that their samples are read against."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import greenlet
import torch
from torch import Tensor, nn

from models.data import dataset as datasets
from models.ebm.config import Config as TrainedConfig
from models.ebm.networks import network as untrained_network
from models.events import Compute, Event, Facts
from models.parts.evaluation import frozen
from models.parts.evaluation.quality import Quality
from models.parts.networks.blocks import restored
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
    facts: Facts  # which judge and which network

    def energies(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Energies (n,) and their gradients (n, *shape)."""
        return energy_and_gradient(self.network, x)


@lru_cache(maxsize=2)
def load(model: str, data: str, data_folder: Path, cache_folder: Path, device: str, samples: int) -> TrainedNetwork:
    """The trained network in the folder ``model``, with reference values for ``samples`` images."""
    references = frozen.references(data, data_folder, cache_folder, device, samples)
    dataset, quality = references.data, references.quality
    config, network = load_network(model, dataset.shape, device)
    anchors = {"fid/real": references.fid_real, "fid/start": references.fid_noise}
    with torch.no_grad():
        real_energy = float(network(dataset.validation.floats()[:samples].to(device)).mean())
    facts = references.facts(model, network)
    return TrainedNetwork(config, network, dataset, quality, anchors, real_energy, facts)


def load_network(model: str, shape: tuple[int, int, int], device: str) -> tuple[TrainedConfig, nn.Module]:
    """The settings and the network that a trial of ``ebm`` left in the folder ``model``."""
    settings, weights = frozen.read(model)
    config = TrainedConfig.model_validate(settings)
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
