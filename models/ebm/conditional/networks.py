"""The network E(x, y) of an energy-based model with labels: three ways to condition on the label."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.ebm.conditional.config import Conditioning, Config
from models.ebm.networks import EnergyResNet
from models.parts.networks.blocks import ResidualBlock
from models.parts.settings import Activation, Precision
from models.parts.training.workload import Workload, of_gradients


class Modulation(nn.Module):
    """x · scale(y) + bias(y), a scale and a bias for each channel and class; begins as the identity."""

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.scale = nn.Embedding(classes, channels)
        self.bias = nn.Embedding(classes, channels)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        y: Tensor = x * self.scale(labels)[:, :, None, None] + self.bias(labels)[:, :, None, None]
        return y


class ConditionalEnergyResNet(EnergyResNet):
    """E(x, y) for images (n, channels, height, width) and labels (n,): (n,). Without labels, E(x, ·): (n, classes).

    The label enters by ``modulation``, a scale and a bias for each channel behind each residual block; by ``channels``, a
    map of ones among the inputs' (both Du and Mordatch 2019, in their code); or at the ``head``, a last layer for each class,
    as a classifier has it (Grathwohl et al. 2019).
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        label: Conditioning,
        blocks: int,
        width: int,
        activation: Activation = "silu",
        spectral: bool = False,
        precision: Precision = "float32",
    ) -> None:
        planes = classes if label == "channels" else 0
        outputs = classes if label == "head" else 1
        super().__init__((shape[0] + planes, *shape[1:]), blocks, width, activation, spectral, precision, outputs)
        self.label, self.classes, self.planes = label, classes, planes
        widths = [layer.channels for layer in self.body if isinstance(layer, ResidualBlock)]
        self.modulations = nn.ModuleList(Modulation(classes, width) for width in widths if label == "modulation")

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        if labels is None:
            if self.label == "head":  # the body does not see the label: its one pass is enough for all
                of_all: Tensor = self.head(self.features(x, torch.zeros_like(x[:, 0, 0, 0], dtype=torch.long)))
                return of_all
            every = torch.arange(self.classes, device=x.device).repeat(x.shape[0])
            return self.forward(x.repeat_interleave(self.classes, 0), every).view(-1, self.classes)
        energies: Tensor = self.head(self.features(x, labels))
        column = labels if self.label == "head" else torch.zeros_like(labels)
        return energies[torch.arange(x.shape[0], device=x.device), column]

    def body_output(self, x: Tensor, *condition: Tensor) -> Tensor:
        """See EnergyResNet; the labels are ``condition``."""
        (labels,) = condition
        if self.planes:
            ones = F.one_hot(labels, self.planes).to(x.dtype)
            x = torch.cat([x, ones[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1)
        modulations = iter(self.modulations)
        for layer in self.body:
            x = layer(x)
            if isinstance(layer, ResidualBlock) and self.modulations:
                x = next(modulations)(x, labels)
        return x


def network(config: Config, shape: tuple[int, int, int]) -> ConditionalEnergyResNet:
    """The untrained E(x, y) for images of ``shape``; its weights come from torch's global generator."""
    settings = config.blocks, config.width, config.activation, config.spectral_norm, config.precision
    return ConditionalEnergyResNet(shape, config.classes, config.label, *settings)


def workload(config: Config, shape: tuple[int, int, int]) -> Workload:
    """What its training computes, as that of ``ebm``."""
    net = network(config, shape).requires_grad_(False)

    def energy(x: Tensor) -> Tensor:
        energies: Tensor = net(x, torch.zeros(len(x), dtype=torch.int64))
        return energies

    return of_gradients(energy, shape, config.network_evaluations, config.chains)
