"""Batches of noisy clouds with where each point belongs."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from models.data.clouds.dataset import CloudSplit
from models.points.config import Config

MOST_OUTLIERS = 0.1  # of the points of a cloud that has any


def rotations(n: int, generator: Generator) -> Tensor:
    """``n`` rotations (n, 3, 3), uniform over all: the Q of a Gaussian matrix's QR, its signs fixed."""
    q, r = torch.linalg.qr(torch.randn(n, 3, 3, generator=generator, device=generator.device))
    q = q * r.diagonal(dim1=1, dim2=2).sign()[:, None]
    turns: Tensor = q * torch.linalg.det(q).sign()[:, None, None]
    return turns


class Batch(NamedTuple):
    """Noisy clouds and where their points belong."""

    noisy: Tensor  # (n, points, 3)
    clean: Tensor  # (n, points, 3): the own place of each point; of a background point, the nearest clean one
    dense: Tensor  # (n, more points, 3): all that are known of the clean clouds


@dataclass(frozen=True, eq=False)
class NoisyClouds:
    """Clouds of a split, turned and made noisy anew each time, by ``generator`` and on its device."""

    config: Config
    clouds: Tensor  # (n, points, 3), clean
    generator: Generator

    @staticmethod
    def of(split: CloudSplit, config: Config, generator: Generator) -> "NoisyClouds":
        return NoisyClouds(config, split.clouds.to(generator.device), generator)

    def draw(self) -> Batch:
        """Other clouds each time, turned at random."""
        config, generator, device = self.config, self.generator, self.clouds.device
        n, points = config.batch_size, config.points
        chosen = torch.randint(len(self.clouds), (n,), generator=generator, device=device)
        order = torch.rand(n, self.clouds.shape[1], generator=generator, device=device).argsort(1)
        dense = self.clouds[chosen].gather(1, order[:, :, None].expand(-1, -1, 3)) @ rotations(n, generator)
        clean = dense[:, :points].clone()
        sigma = torch.rand(n, 1, 1, generator=generator, device=device) * (config.noise_most - config.noise_least)
        noise = torch.randn(clean.shape, generator=generator, device=device)
        noisy = clean + (config.noise_least + sigma) * noise
        with_outliers = torch.rand(n, generator=generator, device=device) < config.outliers
        share = torch.rand(n, generator=generator, device=device) * MOST_OUTLIERS
        anywhere = torch.rand(clean.shape, generator=generator, device=device) * 2 - 1
        for index in torch.nonzero(with_outliers).flatten().tolist():
            count = int(share[index] * points)  # of points whose order is random
            noisy[index, :count] = anywhere[index, :count]
            nearest = torch.cdist(anywhere[index, :count], dense[index]).argmin(1)
            clean[index, :count] = dense[index, nearest]
        return Batch(noisy, clean, dense)

    def epochs(self, n: int) -> float:
        """How often ``n`` batches go through all clouds."""
        return n * self.config.batch_size / len(self.clouds)
