"""Where energies with labels differ from energies without."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from models.data.dataset import Data
from models.ebm.evaluation import Result, evaluate, initial_samples
from models.ebm.networks import network
from models.env import Env
from models.events import Event
from samplers.kernel import Energy


@dataclass(frozen=True)
class Variant:
    """A network, its energy and its evaluations."""

    network: Callable[[Any, Data], nn.Module]  # config and data -> the untrained network
    # Network and labels (n,) -> energy of n images, the labels held fixed.
    energy: Callable[[nn.Module, Tensor], Energy]
    # Config, network, real images and their labels -> a term of the loss beside contrastive divergence.
    label_loss: Callable[[Any, nn.Module, Tensor, Tensor], Tensor | float]
    initial_samples: Callable[[Result, Env], Iterator[Event]]
    evaluate: Callable[[Result, Env], Iterator[Event]]


UNCONDITIONAL = Variant(
    network=lambda config, data: network(config, data.shape),
    energy=lambda net, labels: net,
    label_loss=lambda *_: 0.0,
    initial_samples=initial_samples,
    evaluate=evaluate,
)
