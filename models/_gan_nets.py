"""The two rivals: convolutions of 4×4 that halve the image, and transposed ones that double it, after DCGAN."""

import math

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from models._gan_config import Config

SMALLEST = 4  # pixels: maps are halved down to about that, so that the critic's last layer sees the figure as a whole
ImageShape = tuple[int, int, int]


def halvings(shape: ImageShape) -> int:
    """Between the image and the smallest map: 1 at 8 pixels, 3 at 28 and at 32."""
    return max(1, math.ceil(math.log2(min(shape[1:]) / SMALLEST)))


class Generator(nn.Module):
    """Noise (n, latent_size) -> images (n, *shape) in [-1, 1]: a sigmoid of each pixel, stretched.

    Radford et al. 2016, arXiv:1511.06434: batch normalisation and ReLU behind every layer but the last.
    """

    def __init__(self, config: Config, shape: ImageShape) -> None:
        super().__init__()
        channels, *sides = shape
        n = halvings(shape)
        self.shape, self.latent_size = shape, config.latent_size
        self.start = tuple(math.ceil(side / 2**n) for side in sides)
        before = config.width * 2 ** (n - 1)
        self.first = nn.Linear(config.latent_size, before * self.start[0] * self.start[1], bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(before), nn.ReLU()]
        for _ in range(n - 1):
            after = before // 2
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            before = after
        self.body = nn.Sequential(*layers, nn.ConvTranspose2d(before, channels, 4, 2, 1))
        self.apply(_begin)

    def forward(self, noise: Tensor) -> Tensor:
        maps = self.body(self.first(noise).unflatten(1, (-1, *self.start)))
        height, width = self.shape[1:]
        top, left = (maps.shape[2] - height) // 2, (maps.shape[3] - width) // 2
        images: Tensor = maps[:, :, top : top + height, left : left + width].sigmoid() * 2 - 1
        return images


class Critic(nn.Module):
    """Images (n, *shape) in [-1, 1] -> (n,), unbounded: the log-odds of being real, or what Wasserstein's critic thinks."""

    def __init__(self, config: Config, shape: ImageShape) -> None:
        super().__init__()
        config = config.resolved()

        def normal(layer: nn.Module) -> nn.Module:
            return spectral_norm(layer) if config.spectral else layer

        layers: list[nn.Module] = []
        before, after = shape[0], config.width
        for stage in range(halvings(shape)):
            batch = config.critic_norm == "batch" and stage > 0
            conv = nn.Conv2d(before, after, 4, 2, 1, bias=not batch)
            _begin(conv)
            layers += [normal(conv), *([nn.BatchNorm2d(after)] if batch else []), nn.LeakyReLU(0.2)]
            before, after = after, 2 * after
        self.body = nn.Sequential(*layers, nn.Flatten())
        with torch.no_grad():
            features = self.body.eval()(torch.zeros(1, *shape)).shape[1]
        self.body.train()
        head = nn.Linear(features, 1)
        _begin(head)
        self.head = normal(head)

    def forward(self, images: Tensor) -> Tensor:
        values: Tensor = self.head(self.body(images)).squeeze(1)
        return values


def _begin(layer: nn.Module) -> None:
    """Weights as DCGAN's begin."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(layer.weight, 0.0, 0.02)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def binarised(images: Tensor) -> Tensor:
    """Black and white alone."""
    return torch.where(images > 0, 1.0, -1.0)


def through(images: Tensor) -> Tensor:
    """Black and white alone, with the gradient of the images as they were (Bengio et al. 2013, arXiv:1308.3432)."""
    return images + (binarised(images) - images).detach()
