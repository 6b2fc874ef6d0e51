"""The network E(x) of an energy-based model: residual blocks without normalisation."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from models.ebm.config import Config
from models.parts.networks.blocks import ACTIVATIONS, ResidualBlock, convolution, mixed
from models.parts.settings import Activation, Precision
from models.parts.training.workload import Workload, of_gradients


class EnergyResNet(nn.Module):
    """E(x) for images (n, channels, height, width): one unbounded number each, (n,).

    ``blocks`` residual blocks are spread over the stages between which the image is halved, down to about 4 pixels and
    at most twice; channels double from ``width`` at each halving. The last map is flattened, not pooled: a pooled head
    cannot tell where a stroke is. After Du and Mordatch (2019), whose CIFAR-10 network is 9 blocks deep.

    With ``precision`` bfloat16 (auto: see ``mixed``) all but the last layer computes in mixed precision. Weights, energies
    and their gradient in x are float32 all the same: energies differ by less than bfloat16 tells apart.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        blocks: int,
        width: int,
        activation: Activation = "silu",
        spectral: bool = False,
        precision: Precision = "float32",
        outputs: int = 1,
    ) -> None:
        super().__init__()
        self.precision = precision
        channels, height, wide = shape
        stages = min(blocks, 3, 1 + max(0, int(math.log2(min(height, wide) / 4))))
        layers: list[nn.Module] = [convolution(channels, width, 3, spectral)]
        before = width
        for index in range(blocks):
            stage = index * stages // blocks
            last_of_stage = (index + 1) * stages // blocks > stage
            after = width * 2**stage
            down = last_of_stage and stage < stages - 1
            layers.append(ResidualBlock(before, after, down, activation, spectral))
            before = after
        self.body = nn.Sequential(*layers, ACTIVATIONS[activation]())
        with torch.no_grad():
            features = self.body(torch.zeros(1, *shape)).numel()
        head = nn.Linear(features, outputs)
        self.head = spectral_norm(head) if spectral else head
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # gradients in x are quicker so

    def forward(self, x: Tensor) -> Tensor:
        energy: Tensor = self.head(self.features(x)).squeeze(1)
        return energy

    def features(self, x: Tensor, *condition: Tensor) -> Tensor:
        """What the last layer sees, (n, features), in float32; ``condition`` is passed on to ``body_output``."""
        with mixed(self.precision, x):
            return self.body_output(x, *condition).flatten(1).float()

    def body_output(self, x: Tensor, *condition: Tensor) -> Tensor:
        """The map behind the last block, (n, channels, height, width)."""
        y: Tensor = self.body(x)
        return y


def network(config: Config, shape: tuple[int, int, int]) -> EnergyResNet:
    """The untrained E(x) for images of ``shape``; its weights come from torch's global generator."""
    return EnergyResNet(shape, config.blocks, config.width, config.activation, config.spectral_norm, config.precision)


def workload(config: Config, shape: tuple[int, int, int]) -> Workload:
    """What its training computes: most passes are steps of chains, which need no gradients of the weights."""
    energy = network(config, shape).requires_grad_(False)
    return of_gradients(energy, shape, config.network_evaluations, config.chains)


@contextmanager
def frozen(network: nn.Module) -> Iterator[nn.Module]:
    """The network without gradients in its weights: what chains need, and less work than with them."""
    network.requires_grad_(False)
    try:
        yield network
    finally:
        network.requires_grad_(True)
