"""The two rivals: convolutions of 4×4 that halve the image, and transposed ones that double it, after DCGAN, and 3×3 between."""

import math

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import register_parametrization

from models.gan.conditioning import values
from models.gan.config import Config
from models.parts.networks.blocks import mixed
from models.parts.settings import Precision
from models.parts.training.workload import Workload

SMALLEST = 4  # pixels: maps are halved down to about that, so that the critic's last layer sees the figure as a whole
ImageShape = tuple[int, int, int]


def halvings(shape: ImageShape) -> int:
    """Between the image and the critic's smallest map: 1 at 8 pixels, 3 at 28 and at 32."""
    return max(1, math.ceil(math.log2(min(shape[1:]) / SMALLEST)))


class Generator(nn.Module):
    """Noise, and what is told beside it, (n, inputs) -> images (n, *shape) in [-1, 1]: a sigmoid of each pixel, stretched.

    Radford et al. 2016, arXiv:1511.06434: batch normalisation and ReLU behind every layer but the last. It begins with
    maps of twice the critic's smallest, 7×7 for 28×28, and a 3×3 convolution stands before each that doubles.
    """

    def __init__(self, config: Config, shape: ImageShape) -> None:
        super().__init__()
        channels, *sides = shape
        n = max(1, halvings(shape) - 1)
        self.config, self.shape = config, shape
        self.start = tuple(math.ceil(side / 2**n) for side in sides)
        before = config.width * 2 ** (n - 1)
        self.first = nn.Linear(config.generator_inputs, before * self.start[0] * self.start[1], bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(before), nn.ReLU()]
        for stage in range(n):
            if config.inner_convolutions:
                layers += [nn.Conv2d(before, before, 3, padding=1, bias=False), nn.BatchNorm2d(before), nn.ReLU()]
            if stage < n - 1:
                after = before // 2
                layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
                before = after
        self.body = nn.Sequential(*layers, nn.ConvTranspose2d(before, channels, 4, 2, 1))
        self.apply(_begin)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, noise: Tensor) -> Tensor:
        with mixed(self.config.precision, noise):
            maps = self.body(self.first(noise).unflatten(1, (-1, *self.start))).float()
        height, width = self.shape[1:]
        top, left = (maps.shape[2] - height) // 2, (maps.shape[3] - width) // 2
        images: Tensor = maps[:, :, top : top + height, left : left + width].sigmoid() * 2 - 1
        return images


class Critic(nn.Module):
    """Images (n, *shape) in [-1, 1] -> (n,), unbounded: the log-odds of being real, or what Wasserstein's critic thinks.

    ``labels`` (n,) are the classes of images, or those that they were asked to be: they matter with labels=both alone. 3×3
    convolutions stand between those that halve, none at the image's own size, where they would cost most.
    """

    def __init__(self, config: Config, shape: ImageShape) -> None:
        super().__init__()
        config = config.resolved()
        self.config = config
        self.precision: Precision = (
            "float32" if config.spectral else config.precision
        )  # singular values need its digits
        n = halvings(shape)
        layers: list[nn.Module] = []
        before, after = shape[0], config.width
        for stage in range(n):
            layers += _layer(config, nn.Conv2d(before, after, 4, 2, 1), first=stage == 0)
            if config.inner_convolutions and 0 < stage < n - 1:
                layers += _layer(config, nn.Conv2d(after, after, 3, padding=1), first=False)
            before, after = after, 2 * after
        self.body = nn.Sequential(*layers, nn.Flatten())
        with torch.no_grad():
            features = self.body.eval()(torch.zeros(1, *shape)).shape[1]
        self.body.train()
        self.head = _weighted(config, nn.Linear(features, config.critic_outputs))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def logits(self, images: Tensor) -> Tensor:
        """What the last layer says of images, (n, outputs), in float32."""
        with mixed(self.precision, images):
            logits: Tensor = self.head(self.body(images))
        return logits.float()

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return values(self.config, self.logits(images), labels)


def network(config: Config, shape: ImageShape) -> Generator:
    """The untrained generator of images of ``shape``; its weights come from torch's global generator."""
    return Generator(config, shape)


def workload(config: Config, shape: ImageShape) -> Workload:
    """What its training computes: half of the passes go through the generator, half through the critic."""
    generator, critic = network(config, shape), Critic(config, shape)

    def forward(n: int) -> Tensor:
        images = generator(torch.zeros(n, config.generator_inputs))
        judged: Tensor = critic(images, torch.zeros(n, dtype=torch.int64))
        return judged

    return Workload(config.network_evaluations / 2, config.batch_size, forward)


def _layer(config: Config, conv: nn.Conv2d, first: bool) -> list[nn.Module]:
    """A convolution of the critic with what belongs behind it; the image itself is not normalised."""
    if config.critic_norm == "batch":
        _begin(conv)
    else:  # nothing behind it keeps values of one size, so weights must
        nn.init.kaiming_normal_(conv.weight, 0.2)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    norm = [nn.BatchNorm2d(conv.out_channels)] if config.critic_norm == "batch" and not first else []
    return [_weighted(config, conv), *norm, nn.LeakyReLU(0.2)]


class Equalised(nn.Module):
    """A weight in units of 1/√fan-in, so that a step and a clip are as large for every layer: Karras et al. 2018."""

    def __init__(self, fan_in: int) -> None:
        super().__init__()
        self.unit = fan_in**-0.5

    def forward(self, weight: Tensor) -> Tensor:
        scaled: Tensor = weight * self.unit
        return scaled

    def right_inverse(self, weight: Tensor) -> Tensor:
        stored: Tensor = weight / self.unit
        return stored


class Centred(nn.Module):
    """Filters (outputs, …) minus their mean: where an image is one grey, such a filter says nothing, so ink is no measure."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight - weight.mean(tuple(range(1, weight.dim())), keepdim=True)

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight


def _weighted(config: Config, layer: nn.Conv2d | nn.Linear) -> nn.Module:
    """A layer of the critic whose weights are bounded as the settings say."""
    fan_in = layer.weight[0].numel()
    if config.equalised:
        register_parametrization(layer, "weight", Equalised(fan_in))
        register_parametrization(layer, "bias", Equalised(fan_in))
    if config.centred and isinstance(layer, nn.Conv2d):
        register_parametrization(layer, "weight", Centred())
    return spectral_norm(layer) if config.spectral else layer


def _begin(layer: nn.Module) -> None:
    """Weights as DCGAN's begin."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(layer.weight, 0.0, 0.02)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def binarised(images: Tensor) -> Tensor:
    """Black and white alone."""
    return torch.where(images > 0, 1.0, -1.0)


def straight_through(images: Tensor) -> Tensor:
    """Black and white alone, with the gradient of the images as they were (Bengio et al. 2013, arXiv:1308.3432)."""
    return images + (binarised(images) - images).detach()
