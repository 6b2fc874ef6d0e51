"""What studies over a trained network share: the network is read from the folder of its trial, samples are scored alike."""

import json
import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from models.data import dataset as datasets
from models.env import Env
from models.events import Checkpoint, Event, Facts, Progress
from models.parts.evaluation import judge as judges
from models.parts.evaluation.legibility import judged_classes
from models.parts.evaluation.quality import Quality
from models.parts.networks.blocks import weights_digest
from models.parts.training import cache
from samplers import starts

BATCHES = 12  # in which a trial draws its images
N = TypeVar("N", bound=nn.Module)


@dataclass(frozen=True, eq=False)
class References:
    """The data, the judge, and what samples are read beside; made once in a process for all trials."""

    data: datasets.Data
    quality: Quality
    fid_real: float  # of as many training images as there are samples
    fid_noise: float  # of as many images of uniform noise

    def facts(self, model: str, network: nn.Module) -> Facts:
        """Which judge and which network: its folder, and a digest of its weights."""
        digest = weights_digest(network)
        return Facts({"judge/hash": self.quality.judge.digest, "model": model, "model/digest": digest})

    def scores(self, images: Tensor) -> dict[str, float]:
        """Of the images that a trial drew, beside their reference values."""
        values = self.quality.scores("fresh", images) | judged_classes(self.quality.judge, "", images)
        return values | {"fid/real": self.fid_real, "fid/noise": self.fid_noise}


@dataclass(frozen=True, eq=False)
class TrainedNetwork(Generic[N]):
    """What trials on one network have in common; made once in a process."""

    network: N
    references: References


def read(model: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The settings and the weights that a finished trial left in the folder ``model``."""
    description = json.loads(Path(model, "model.json").read_text())
    return dict(description["config"]), load_file(Path(model, "weights.safetensors"))


@lru_cache(maxsize=2)
def references(data: str, data_folder: Path, cache_folder: Path, device: str, samples: int) -> References:
    """For ``samples`` images each, against the validation split of ``data``."""
    dataset = datasets.load(data, data_folder)
    judge = cache.at_once(judges.obtain(dataset, cache_folder, device))
    quality = Quality.against_validation(judge, dataset, samples)
    generator = Env(data, 0, device).generator("anchors")
    noise = starts.uniform(samples, dataset.shape, (-1.0, 1.0), generator)
    order = torch.randperm(len(dataset.train), generator=generator, device=device)
    real_images = dataset.train.floats(order[:samples].cpu())
    return References(dataset, quality, quality.fid(real_images), quality.fid(noise))


@lru_cache(maxsize=2)
def trained_network(
    load: Callable[[str, tuple[int, int, int], str], N],
    model: str,
    data: str,
    data_folder: Path,
    cache_folder: Path,
    device: str,
    samples: int,
) -> TrainedNetwork[N]:
    """What ``load`` reads from the folder ``model``, with reference values for ``samples`` images."""
    compared = references(data, data_folder, cache_folder, device, samples)
    return TrainedNetwork(load(model, compared.data.shape, device), compared)


def drawn(
    trained: TrainedNetwork[N],
    model: str,
    samples: int,
    draw: Callable[[int, int, torch.Generator], Tensor],
    env: Env,
    resume: Mapping[str, Any] | None,
) -> Generator[Event, Any, Tensor]:
    """``samples`` images, batch by batch, with a checkpoint after each: ``draw`` gets their number and that of the first."""
    size = max(1, samples // BATCHES)
    batches: list[Tensor] = []
    if resume is None:
        yield trained.references.data.used
        yield trained.references.facts(model, trained.network)
    else:
        batches = list(resume["images"].split(size))
    total = math.ceil(samples / size)
    for index in range(len(batches), total):
        first = index * size
        generator = env.generator(f"samples, batch {index}")  # of its own: a resumed trial needs no state of it
        batches.append(draw(min(size, samples - first), first, generator).cpu())
        yield Progress("samples", index + 1, total)
        yield Checkpoint(index + 1, partial(_state, batches))
    return torch.cat(batches)


def _state(batches: list[Tensor]) -> dict[str, Any]:
    return {"images": torch.cat(batches)}
