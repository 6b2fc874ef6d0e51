"""Images as tokens in raster order, and back: the numbers of grey levels, of one pixel or of all pixels of a patch."""

import torch
from torch import Tensor, nn

from models.autoregressive.config import Config
from models.data.dataset import DataError, floats
from models.parts.evaluation.likelihood import level_bytes

PIXELS = 200_000  # that k-means sees, at most
ROUNDS = 50  # of k-means


class Tokens(nn.Module):
    """Grey images (n, 1, height, width) in [-1, 1] <-> tokens (n, places), int64. Its palette is kept with the weights."""

    palette: Tensor  # (levels,), grey values in [-1, 1], from dark to bright

    def __init__(self, config: Config, shape: tuple[int, int, int]) -> None:
        super().__init__()
        _, height, width = shape
        self.patch, self.levels, self.size = config.patch_side, config.levels, config.vocabulary
        self.rows, self.columns = height // self.patch, width // self.patch
        self.register_buffer("palette", floats(level_bytes(self.levels)))

    @property
    def places(self) -> int:
        """Tokens of an image."""
        return self.rows * self.columns

    def numbers(self, images: Tensor) -> Tensor:
        """The number of the nearest level of each pixel, from 0."""
        middles = (self.palette[1:] + self.palette[:-1]) / 2
        images = images.to(middles.device)
        return (images > middles).long() if self.levels == 2 else torch.bucketize(images.contiguous(), middles)

    def encode(self, images: Tensor) -> Tensor:
        """Tokens of images, each of whose pixels is rounded to its nearest level."""
        p = self.patch
        numbers = self.numbers(images)[:, 0].unfold(1, p, p).unfold(2, p, p).flatten(3)
        return (numbers * self._weights).sum(3).flatten(1)

    def decode(self, tokens: Tensor) -> Tensor:
        """The images of tokens (n, places)."""
        p = self.patch
        numbers = tokens[..., None] // self._weights % self.levels
        maps = numbers.view(-1, self.rows, self.columns, p, p).permute(0, 1, 3, 2, 4)
        return self.palette[maps.reshape(-1, 1, self.rows * p, self.columns * p)]

    def pixel_states(self) -> Tensor:
        """The level number of each pixel of each token, (tokens, patch²)."""
        return torch.arange(self.size, device=self.palette.device)[:, None] // self._weights % self.levels

    def fit(self, images: Tensor) -> None:
        """Put the levels at the means of k-means of the pixels of ``images``, (n, 1, height, width) in [-1, 1]."""
        pixels = images.flatten()[:PIXELS].to(self.palette.device)
        distinct: Tensor = torch.unique(pixels)
        if len(distinct) < self.levels:
            raise DataError(
                f"the images have {len(distinct)} grey values, fewer than levels={self.levels}; "
                f"set levels={max(2, len(distinct))}"
            )
        # Quantiles of the distinct values: those of all pixels would begin several means at a common value.
        self.palette.copy_(distinct[torch.linspace(0, len(distinct) - 1, self.levels).round().long()])
        for _ in range(ROUNDS):
            numbers = self.numbers(pixels)
            counts = torch.bincount(numbers, minlength=self.levels)
            sums = torch.zeros_like(self.palette).index_add_(0, numbers, pixels)
            self.palette.copy_(torch.where(counts > 0, sums / counts.clamp_min(1), self.palette).sort().values)

    def distortion(self, images: Tensor) -> float:
        """Mean squared difference of pixels, in [-1, 1], from their levels: 0 where tokens lose nothing."""
        levels = self.palette[self.numbers(images)]
        return float((levels - images.to(levels.device)).square().double().mean())

    @property
    def _weights(self) -> Tensor:
        """What a level of each pixel of a patch adds to its token."""
        powers = torch.arange(self.patch**2 - 1, -1, -1, device=self.palette.device)
        return self.levels**powers
