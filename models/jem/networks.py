"""Classifiers that JEM makes energies of: a small convolutional network, ResNet-18 and wide residual networks."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from models.data.torchvision_fix import declare_missing_operators
from models.jem.config import Config, Mode, Norm
from models.parts.networks.blocks import ACTIVATIONS, mixed
from models.parts.settings import Activation, Precision
from models.parts.training.workload import Workload, of_gradients
from samplers.kernel import Energy

GROUPS = 8  # of channels, at most


class Classifier(nn.Module):
    """Logits (n, classes) of images (n, channels, height, width).

    With ``precision`` bfloat16 (auto: see ``mixed``) all but the last layer computes in mixed precision.
    """

    def __init__(self, body: nn.Module, shape: tuple[int, int, int], classes: int, precision: Precision) -> None:
        super().__init__()
        self.body, self.precision = body, precision
        with torch.no_grad():
            features = body.eval()(torch.zeros(1, *shape)).numel()
        body.train()
        self.head = nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Tensor:
        with mixed(self.precision, x):
            features = self.body(x).flatten(1).float()
        logits: Tensor = self.head(features)
        return logits


def marginal(network: nn.Module) -> Energy:
    """E(x) = −log Σ_y exp f(x)_y, shape (n,): Grathwohl et al. 2019, arXiv:1912.03263, equation 6."""
    return lambda x: -network(x).logsumexp(1)


def conditional(network: nn.Module, labels: Tensor) -> Energy:
    """E(x, y) = −f(x)_y, shape (n,), the labels (n,) held fixed: their equation 5."""
    return lambda x: -network(x).gather(1, labels[:, None])[:, 0]


def norm(kind: Norm, channels: int) -> nn.Module:
    """A layer that normalises a map of so many channels."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels) if kind == "group" else nn.Identity()


@contextmanager
def in_mode(network: nn.Module, mode: Mode, frozen: bool = True) -> Iterator[None]:
    """The network as chains see it: in train mode they are normalised by their own statistics, in eval mode by averages.

    Those averages are of real images alone: chains do not enter them. ``frozen`` weights get no gradients.
    """
    batch_norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    trainable, training = [weight.requires_grad for weight in network.parameters()], network.training
    momenta, counts = [layer.momentum for layer in batch_norms], [layer.num_batches_tracked for layer in batch_norms]
    network.train(mode == "train")
    for layer in batch_norms:
        layer.momentum, layer.num_batches_tracked = 0.0, None  # without a counter there is nothing to count
    if frozen:
        network.requires_grad_(False)
    try:
        yield
    finally:
        for weight, requires_grad in zip(network.parameters(), trainable, strict=True):
            weight.requires_grad_(requires_grad)
        for layer, momentum, count in zip(batch_norms, momenta, counts, strict=True):
            layer.momentum, layer.num_batches_tracked = momentum, count
        network.train(training)


def small(shape: tuple[int, int, int], width: int, activation: Activation, kind: Norm) -> nn.Module:
    """Two convolutions for each size of map, which is halved down to 4 to 7 pixels; channels double from ``width``.

    Its map is flattened, not pooled: a pooled head cannot tell where a stroke is.
    """
    before, layers = shape[0], list[nn.Module]()
    halvings = max(0, int(math.log2(min(shape[1:]) / 4)))
    for stage in range(halvings + 1):
        after = width * 2**stage
        for channels in (before, after):
            layers += [nn.Conv2d(channels, after, 3, padding=1), norm(kind, after), ACTIVATIONS[activation]()]
        if stage < halvings:
            layers.append(nn.AvgPool2d(2))
        before = after
    return nn.Sequential(*layers)


def resnet18(shape: tuple[int, int, int], activation: Activation, kind: Norm) -> nn.Module:
    """torchvision's, for small images: the first convolution is 3×3 and of stride 1, and nothing is pooled behind it."""
    declare_missing_operators()
    from torchvision.models.resnet import BasicBlock, ResNet

    network: nn.Module = ResNet(BasicBlock, [2, 2, 2, 2], norm_layer=lambda channels: norm(kind, channels))
    network.conv1 = nn.Conv2d(shape[0], 64, 3, padding=1, bias=False)
    network.maxpool, network.fc = nn.Identity(), nn.Identity()
    for layer in list(network.modules()):
        if hasattr(layer, "relu"):
            layer.relu = ACTIVATIONS[activation]()
    return network


class _WideBlock(nn.Module):
    """x + conv(act(norm(conv(act(norm(x)))))), the first convolution of stride ``stride``."""

    def __init__(self, before: int, after: int, stride: int, activation: Activation, kind: Norm) -> None:
        super().__init__()
        self.enter = nn.Sequential(norm(kind, before), ACTIVATIONS[activation]())
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1),
            norm(kind, after),
            ACTIVATIONS[activation](),
            nn.Conv2d(after, after, 3, 1, 1),
        )
        alike = before == after and stride == 1
        self.skip = nn.Identity() if alike else nn.Conv2d(before, after, 1, stride)
        self.alike = alike

    def forward(self, x: Tensor) -> Tensor:
        inner = self.enter(x)
        y: Tensor = self.skip(x if self.alike else inner) + self.body(inner)
        return y


def wide_resnet(shape: tuple[int, int, int], depth: int, width: int, activation: Activation, kind: Norm) -> nn.Module:
    """Wide-ResNet-``depth`` with ``width`` = 16k channels in its first group: Zagoruyko and Komodakis 2016, arXiv:1605.07146.

    Without dropout, as JEM has it; depth is 6n + 4.
    """
    layers: list[nn.Module] = [nn.Conv2d(shape[0], 16, 3, padding=1)]
    before = 16
    for group in range(3):
        after = width * 2**group
        for block in range((depth - 4) // 6):
            layers.append(_WideBlock(before, after, 2 if group and not block else 1, activation, kind))
            before = after
    return nn.Sequential(*layers, norm(kind, before), ACTIVATIONS[activation](), nn.AdaptiveAvgPool2d(1))


def network(config: Config, shape: tuple[int, int, int]) -> Classifier:
    """The untrained classifier for images of ``shape``; its weights come from torch's global generator."""
    if config.network == "cnn":
        body = small(shape, config.width, config.activation, config.norm)
    elif config.network == "resnet18":
        body = resnet18(shape, config.activation, config.norm)
    else:
        body = wide_resnet(shape, config.depth, config.width, config.activation, config.norm)
    return Classifier(body, shape, config.classes, config.precision)


def workload(config: Config, shape: tuple[int, int, int]) -> Workload:
    """What its training computes, as that of ``ebm``; without that of the classifier, which all trials share."""
    energy = marginal(network(config, shape).requires_grad_(False))
    return of_gradients(energy, shape, config.network_evaluations, config.chains)
