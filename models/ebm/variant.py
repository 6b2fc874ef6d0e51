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
    energy: Callable[
        [nn.Module, Tensor], Energy
    ]  # network and labels (n,) -> energy of n images, the labels held fixed
    initial_samples: Callable[[Result, Env], Iterator[Event]]
    evaluate: Callable[[Result, Env], Iterator[Event]]


UNCONDITIONAL = Variant(
    lambda config, data: network(config, data.shape), lambda net, labels: net, initial_samples, evaluate
)
