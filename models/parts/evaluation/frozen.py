"""What studies over a trained network share: the network is read from the folder of its trial, samples are scored alike."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from models.data import dataset as datasets
from models.env import Env
from models.events import Facts
from models.parts.evaluation import judge as judges
from models.parts.evaluation.quality import Quality
from models.parts.networks.blocks import weights_digest
from models.parts.training import cache
from samplers import starts


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
