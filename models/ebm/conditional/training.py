"""Energy-based models of images given a label, E(x, y): the trainer of ``ebm``, with a label that a chain keeps."""

from collections.abc import Generator, Mapping
from typing import Any

from torch import nn

from models.data import dataset as datasets
from models.ebm import training as ebm
from models.ebm.conditional.config import Config
from models.ebm.conditional.evaluation import conditional_energy, evaluate, initial_samples
from models.ebm.conditional.networks import network
from models.ebm.evaluation import Result
from models.ebm.variant import Variant
from models.env import Env
from models.events import Event


def check(config: Config, data: datasets.Data) -> None:
    """Raises DataError where the data have more classes than the network has room for."""
    if len(data.classes) > config.classes:
        raise datasets.DataError(
            f"{data.name} has {len(data.classes)} classes; make room by --set classes={len(data.classes)}"
        )


def _network(config: Config, data: datasets.Data) -> nn.Module:
    check(config, data)
    return network(config, data.shape)


CONDITIONAL = Variant(_network, conditional_energy, initial_samples, evaluate)


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, None, Result]:
    """Train on ``env.data``, as ``ebm.training.train`` does."""
    return (yield from ebm.train(config, env, resume, CONDITIONAL))
