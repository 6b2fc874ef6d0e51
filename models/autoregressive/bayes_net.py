"""A Bayesian network over pixels in raster order: P(image) = Π P(pixel | its causal neighbours)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.autoregressive.config import BayesNetConfig
from models.autoregressive.neighbours import REACH, offsets
from models.autoregressive.tokens import Tokens


class Canvas(NamedTuple):
    """An image that is being written, with a border of the darkest level: (n, REACH + height, width + 2 · REACH)."""

    values: Tensor


class BayesNet(nn.Module):
    """Tokens (n, places) -> logits (n, places, levels) of each pixel given its parents.

    All conditional distributions are one masked convolution, followed by two layers of 1×1 with cpd=mlp. Parents outside the
    image have the darkest level. Two levels have one logit, that of a logistic regression.
    """

    def __init__(self, config: BayesNetConfig, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.tokens, self.levels = Tokens(config, shape), config.levels
        self.height, self.width = self.tokens.rows, self.tokens.columns
        self.neighbours, self.offsets, places = config.neighbours, offsets(config.neighbours), self.tokens.places
        parents, outputs = len(self.offsets), config.levels - 1 if config.levels == 2 else config.levels
        self.mlp, self.own = config.cpd == "mlp", config.position == "own"
        inputs = config.width if self.mlp else parents
        if self.mlp:
            self.first, self.second = nn.Linear(parents, config.width), nn.Linear(config.width, config.width)
        biased = config.position == "bias" or (self.own and self.mlp)
        self.place = nn.Parameter(torch.zeros(config.width if self.mlp else outputs, places)) if biased else None
        # Zero weights: the training of the linear one is convex, and the perceptron's hidden units differ already.
        self.weight = nn.Parameter(torch.zeros(outputs, inputs, places) if self.own else torch.zeros(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs, places if self.own else 1))

    def forward(self, tokens: Tensor) -> Tensor:
        values = self.tokens.palette[tokens.long()].view(-1, self.height, self.width)
        if self.mlp:
            hidden = self._convolved(values, self.first.weight) + self.first.bias[:, None]
            if self.place is not None:
                hidden = hidden + self.place
            hidden = F.silu(F.conv1d(F.silu(hidden), self.second.weight[..., None], self.second.bias))
            logits = self._head(hidden)
        elif self.own:
            logits = self._head(self.parents(values))
        else:
            logits = self._convolved(values, self.weight) + self.bias
            logits = logits if self.place is None else logits + self.place
        return self._classes(logits.transpose(1, 2))

    def parents(self, values: Tensor) -> Tensor:
        """The values of each pixel's parents: (n, height, width) -> (n, parents, places)."""
        padded = self._padded(values)
        maps = [
            padded[:, REACH + down : REACH + down + self.height, REACH + right : REACH + right + self.width]
            for down, right in self.offsets
        ]
        return torch.stack(maps, 1).flatten(2)

    def start(self, n: int) -> Canvas:
        """An empty image for each of ``n``, to be written by ``step``."""
        empty = self.tokens.palette[0].expand(n, self.height, self.width)
        return Canvas(self._padded(empty).clone())

    def step(self, canvas: Canvas, place: int, previous: Tensor | None) -> Tensor:
        """Logits (n, levels) of the pixel at ``place``, after the token ``previous`` (n,) is written at the one before it."""
        if previous is not None:
            row, column = divmod(place - 1, self.width)
            canvas.values[:, REACH + row, REACH + column] = self.tokens.palette[previous]
        return self.conditional(canvas, place)

    def conditional(self, canvas: Canvas, place: int) -> Tensor:
        """Logits (n, levels) of the pixel at ``place`` given its parents on the canvas."""
        row, column = divmod(place, self.width)
        inputs = torch.stack(
            [canvas.values[:, REACH + row + down, REACH + column + right] for down, right in self.offsets], 1
        )
        if self.mlp:
            inputs = self.first(inputs)
            inputs = F.silu(inputs if self.place is None else inputs + self.place[:, place])
            inputs = F.silu(self.second(inputs))
        weight, bias = (self.weight[..., place], self.bias[:, place]) if self.own else (self.weight, self.bias[:, 0])
        logits = inputs @ weight.T + bias
        if not self.mlp and self.place is not None:
            logits = logits + self.place[:, place]
        return self._classes(logits)

    def _head(self, inputs: Tensor) -> Tensor:
        """The last layer: (n, inputs, places) -> (n, outputs, places)."""
        if self.own:
            return torch.einsum("nip,oip->nop", inputs, self.weight) + self.bias
        return F.conv1d(inputs, self.weight[..., None]) + self.bias

    def _convolved(self, values: Tensor, weight: Tensor) -> Tensor:
        """A convolution whose kernel has ``weight`` (outputs, parents) at the parents and 0 elsewhere: (n, outputs, places)."""
        kernel = weight.new_zeros(len(weight), (REACH + 1) * (2 * REACH + 1))
        positions = [(REACH + down) * (2 * REACH + 1) + REACH + right for down, right in self.offsets]
        kernel = kernel.index_copy(1, torch.tensor(positions, device=weight.device), weight)
        kernel = kernel.view(-1, 1, REACH + 1, 2 * REACH + 1)
        return F.conv2d(self._padded(values)[:, None], kernel).flatten(2)

    def _padded(self, values: Tensor) -> Tensor:
        return torch.cat(
            [
                self.tokens.palette[0].expand(values.shape[0], REACH, self.width + 2 * REACH),
                F.pad(values - self.tokens.palette[0], (REACH, REACH)) + self.tokens.palette[0],
            ],
            1,
        )

    def _classes(self, logits: Tensor) -> Tensor:
        """A logit for each level; of two levels the first has 0."""
        return torch.cat([torch.zeros_like(logits), logits], -1) if self.levels == 2 else logits
