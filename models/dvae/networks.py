"""Encoder, quantiser, decoder; without the quantiser it is a plain autoencoder of the same size."""

import math

import torch
from torch import Generator, Tensor, nn

from models.data.dataset import DataError
from models.dvae.config import Config
from models.dvae.prior import Prior
from models.dvae.quantisers import GumbelCodes, MovingCodes
from models.parts.networks.blocks import ACTIVATIONS, ResidualBlock
from models.parts.training.workload import Workload

BATCH = 512  # images at a time when nothing is learned


def map_size(config: Config, shape: tuple[int, int, int]) -> tuple[int, int]:
    """Rows and columns of tokens; raises DataError for images that cannot be halved as often as asked."""
    factor = 2**config.halvings
    height, width = shape[1:]
    if height % factor or width % factor:
        possible = next((n for n in range(config.halvings - 1, 0, -1) if not (height % 2**n or width % 2**n)), 0)
        lower = f"lower it by --set halvings={possible}, or " if possible else ""
        times = "" if config.halvings == 1 else f" {config.halvings} times"
        rows, columns = (math.ceil(side / factor) * factor for side in (height, width))
        raise DataError(
            f"images of {height}×{width} pixels cannot be halved{times}; {lower}pad or scale them to {rows}×{columns}, for "
            f"files by folder:PATH:size={max(rows, columns)}"
        )
    return height // factor, width // factor


class Autoencoder(nn.Module):
    """Images (n, channels, height, width) in [-1, 1] to tokens (n, rows, columns) and back.

    Residual blocks without normalisation; halved by averaging, doubled by repetition. The last layer is linear, and what
    is shown and scored is clamped to [-1, 1]. Raises DataError for images that cannot be halved as often as asked.
    """

    def __init__(self, config: Config, shape: tuple[int, int, int], plain: bool = False) -> None:
        super().__init__()
        channels = shape[0]
        self.size = config.codebook_size
        self.map = map_size(config, shape)
        width, dimension, activation = config.width, config.code_dimension, config.activation

        def block(down: bool = False) -> nn.Module:
            return ResidualBlock(width, width, down, activation, False)

        act = ACTIVATIONS[activation]
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            *(block(down=True) for _ in range(config.halvings)),
            *(block() for _ in range(config.blocks)),
            act(),
            nn.Conv2d(width, dimension, 1),
        )
        ups = (layer for _ in range(config.halvings) for layer in (nn.Upsample(scale_factor=2), block()))
        self.decoder = nn.Sequential(
            nn.Conv2d(dimension, width, 3, padding=1),
            *(block() for _ in range(config.blocks)),
            *ups,
            act(),
            nn.Conv2d(width, channels, 3, padding=1),
        )
        self.quantiser = None if plain else _quantiser(config)
        self.prior = None  # learned when all else is
        if config.prior_updates and not plain:
            self.prior = Prior(self.size, dimension, *self.map, config.prior_width)

    def learn(self, images: Tensor, progress: float, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstructions for a batch, its tokens, and the quantiser's penalty; may move the codes."""
        flat, size = _vectors(self.encoder(images))
        if self.quantiser is None:
            return self.decoder(_map(flat, size)), flat.new_zeros(0, dtype=torch.int64), flat.new_zeros(())
        codes, tokens, penalty = self.quantiser.learn(flat, progress, generator)
        return self.decoder(_map(codes, size)), tokens, penalty

    def tokens(self, images: Tensor) -> Tensor:
        """(n, rows, columns) for images on any device, a batch at a time, without gradients."""
        if self.quantiser is None:
            raise ValueError("an autoencoder without quantiser has no tokens; ask for its reconstructions")
        device = next(self.parameters()).device
        batches = []
        with torch.no_grad():
            for batch in torch.split(images, BATCH):
                flat, _ = _vectors(self.encoder(batch.to(device)))
                batches.append(self.quantiser.tokens(flat).view(-1, *self.map))
        return torch.cat(batches)

    def vectors(self, tokens: Tensor) -> Tensor:
        """Tokens (n, rows, columns) as the codes that they stand for, (n, dimension, rows, columns), without gradients."""
        if self.quantiser is None:
            raise ValueError("an autoencoder without quantiser has no codes; ask for its reconstructions")
        with torch.no_grad():
            codes = self.quantiser.vectors(tokens.flatten())
        return _map(codes, (tokens.shape[0], *self.map))

    def decode(self, tokens: Tensor) -> Tensor:
        """Images of tokens (n, rows, columns), in [-1, 1], a batch at a time, without gradients."""
        with torch.no_grad():
            parts = [self.decoder(self.vectors(batch)).clamp(-1, 1) for batch in torch.split(tokens, BATCH)]
        return torch.cat(parts)

    def forward(self, images: Tensor) -> Tensor:
        """Reconstructions in [-1, 1]."""
        if self.quantiser is not None:
            return self.decode(self.tokens(images))
        device = next(self.parameters()).device
        with torch.no_grad():
            parts = [self.decoder(self.encoder(batch.to(device))).clamp(-1, 1) for batch in torch.split(images, BATCH)]
        return torch.cat(parts)


def _quantiser(config: Config) -> MovingCodes | GumbelCodes:
    if config.quantiser == "gumbel":
        temperatures = config.temperature_start, config.temperature_end
        return GumbelCodes(config.codebook_size, config.code_dimension, *temperatures, config.kl_weight)
    following = config.commitment, config.decay, config.restart_below, config.normalise
    return MovingCodes(config.codebook_size, config.code_dimension, *following)


def _vectors(z: Tensor) -> tuple[Tensor, tuple[int, int, int]]:
    """A map (n, dimension, rows, columns) as a vector for each place, image by image; and (n, rows, columns)."""
    n, dimension, rows, columns = z.shape
    return z.permute(0, 2, 3, 1).reshape(-1, dimension), (n, rows, columns)


def _map(flat: Tensor, size: tuple[int, int, int]) -> Tensor:
    return flat.view(*size, -1).permute(0, 3, 1, 2)


def network(config: Config, shape: tuple[int, int, int]) -> Autoencoder:
    """The untrained network for images of ``shape``; its weights come from torch's global generator."""
    return Autoencoder(config, shape)


def workload(config: Config, shape: tuple[int, int, int]) -> Workload:
    """What the training of the autoencoder computes, without prior, clusters and classifiers."""
    autoencoder = network(config, shape)
    generator = Generator(torch.get_default_device()).manual_seed(0)

    def forward(n: int) -> Tensor:
        reconstructions, _, penalty = autoencoder.learn(torch.zeros(n, *shape), 0.0, generator)
        return reconstructions.mean() + penalty

    return Workload(config.updates, config.batch_size, forward)
