"""Energy-based models of images given a label, E(x, y): the trainer of ``ebm``, with a label that a chain keeps."""

from collections.abc import Generator, Mapping
from typing import Any

from torch import Tensor, nn

from models.data import dataset as datasets
from models.ebm import training as ebm
from models.ebm.conditional.config import Config
from models.ebm.conditional.evaluation import conditional_energy, evaluate, initial_samples
from models.ebm.conditional.losses import wrong_label_loss
from models.ebm.conditional.networks import network
from models.ebm.evaluation import Result
from models.ebm.variant import Variant
from models.env import Env
from models.events import Event
from models.parts.evaluation import needs


def check(config: Config, data: datasets.Data) -> None:
    """Raises DataError where the data have more classes than the network has room for, or Inception's weights cannot be used."""
    needs.refuse_unlabelled(data)
    needs.refuse(data, config.inception_weights)
    if len(data.classes) > config.classes:
        raise datasets.DataError(
            f"{data.name} has {len(data.classes)} classes; make room by --set classes={len(data.classes)}"
        )


def _network(config: Config, data: datasets.Data) -> nn.Module:
    check(config, data)
    return network(config, data.shape)


def _label_loss(config: Config, net: nn.Module, images: Tensor, labels: Tensor) -> Tensor | float:
    return config.wrong_label_weight * wrong_label_loss(net, images, labels) if config.wrong_label_weight else 0.0


CONDITIONAL = Variant(_network, conditional_energy, _label_loss, initial_samples, evaluate)


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, None, Result]:
    """Train on ``env.data``, as ``ebm.training.train`` does."""
    return (yield from ebm.train(config, env, resume, CONDITIONAL))
