"""Energy-based models of images given a label, E(x, y): the trainer of ``ebm``, with a label that a chain keeps."""

from collections.abc import Generator, Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from models.data import dataset as datasets
from models.ebm import training as ebm
from models.ebm.conditional_evaluation import evaluate, given, images_in_turn, report, untrained
from models.env import Env
from models.events import Event, Images
from models.parts.networks.blocks import Activation, EnergyResNet, Precision, ResidualBlock, restored

__all__ = ["Config", "check", "draw", "network", "report", "train"]

Way = Literal["modulation", "channels", "head"]


class Config(ebm.Config):
    """One energy-based model with labels, and how it is trained."""

    label: Way = Field("head", description="how the network is told the label")
    classes: int = Field(10, ge=2, description="labels that the network has room for: at least those of the data")

    @model_validator(mode="after")
    def _without_likelihood(self) -> "Config":
        if self.annealing_temperatures:
            raise ValueError(
                "annealing_temperatures is for energies without labels: E(x, y) has a Z for each label; leave it at 0"
            )
        return self

    @model_validator(mode="after")
    def _enough(self) -> "Config":
        if self.evaluation_samples < 2 * self.classes:
            raise ValueError(
                f"evaluation_samples={self.evaluation_samples} are fewer than two a class; raise it to {2 * self.classes}"
            )
        return self


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
        label: Way,
        blocks: int,
        width: int,
        activation: Activation = "silu",
        spectral: bool = False,
        precision: Precision = "float32",
    ) -> None:
        planes = classes if label == "channels" else 0
        outputs = classes if label == "head" else 1
        super().__init__((shape[0] + planes, *shape[1:]), blocks, width, activation, spectral, precision, outputs)
        self.classes, self.planes = classes, planes
        widths = [layer.channels for layer in self.body if isinstance(layer, ResidualBlock)]
        self.modulations = nn.ModuleList(Modulation(classes, width) for width in widths if label == "modulation")

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        if labels is None:
            every = torch.arange(self.classes, device=x.device).repeat(x.shape[0])
            return self.forward(x.repeat_interleave(self.classes, 0), every).view(-1, self.classes)
        energies: Tensor = self.head(self.features(x, labels))
        return energies[
            torch.arange(x.shape[0], device=x.device), labels % energies.shape[1]
        ]  # of a head for all, its one

    def walk(self, x: Tensor, *given: Tensor) -> Tensor:
        """See EnergyResNet; the labels are ``given``."""
        (labels,) = given
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


def check(config: Config, data: datasets.Data) -> None:
    """Raises DataError where the data have more classes than the network has room for."""
    if len(data.classes) > config.classes:
        raise datasets.DataError(
            f"{data.name} has {len(data.classes)} classes; make room by --set classes={len(data.classes)}"
        )


def _network(config: Config, data: datasets.Data) -> nn.Module:
    check(config, data)
    return network(config, data.shape)


KIND = ebm.Kind(_network, given, untrained, evaluate)


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, None, ebm.Result]:
    """Train on ``env.data``, as ``ebm.train`` does."""
    return (yield from ebm.train(config, env, resume, KIND))


def draw(config: Config, env: Env, weights: Mapping[str, Tensor], n: int) -> Images:
    """``n`` new images by a trained network, a column for each class: ends of fresh chains."""
    data = datasets.load(env.data, env.data_folder)
    return images_in_turn(config, env, restored(network(config, data.shape), weights, env.device), data, n)
