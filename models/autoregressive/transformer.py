"""Image GPT: a transformer that predicts each token of an image from those before it (Chen et al. 2020)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.autoregressive.config import ImageGPTConfig
from models.autoregressive.tokens import Tokens
from models.parts.networks.attention import MultiHeadAttention, attend, attention_weights

ABOVE = (-1, 0, 1)  # columns right of a place: what it is given of the row above with position=context
DEVIATION = (
    0.02  # of first weights, as in GPT-2; those that end a residual branch are smaller the more blocks there are
)


class Block(nn.Module):
    """Attention and a perceptron of four times the width, each with normalised input and added to what was."""

    def __init__(self, config: ImageGPTConfig) -> None:
        super().__init__()
        width = config.width
        self.before_attention, self.before_perceptron = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, config.heads, causal=True)
        self.perceptron = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, drop: "Dropout") -> Tensor:
        x = x + drop(self.attention(self.before_attention(x)))
        return x + drop(self.perceptron(self.before_perceptron(x)))


@dataclass
class Cache:
    """What a sequence that is being written keeps: keys and values of all blocks, and its tokens so far.

    ``keys`` and ``values`` (layers, n, heads, places, width / heads) are filled up to ``length``.
    """

    keys: Tensor
    values: Tensor
    tokens: Tensor  # (n, places)
    labels: Tensor | None  # (n,)


class Dropout:
    """Each number is zero with probability ``share``, else so much larger that its mean stays; off without a generator."""

    def __init__(self, share: float, generator: torch.Generator | None) -> None:
        self.share, self.generator = share, generator

    def __call__(self, x: Tensor) -> Tensor:
        if self.generator is None or not self.share:
            return x
        return x * torch.empty_like(x).bernoulli_(1 - self.share, generator=self.generator) / (1 - self.share)


class ImageGPT(nn.Module):
    """Tokens (n, places) -> logits (n, places, vocabulary) of each token given those before it.

    With classes, a class stands before the tokens: (n, 1 + places).
    """

    def __init__(self, config: ImageGPTConfig, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.config, self.tokens = config, Tokens(config, shape)
        width, size, places = config.width, self.tokens.size, self.tokens.places
        self.begin = nn.Embedding(max(1, config.classes), width)
        self.before = nn.Embedding(size, width)
        n_above = len(ABOVE) if config.position == "context" else 0
        self.above = nn.ModuleList(nn.Embedding(size + 1, width) for _ in range(n_above))  # the last: outside
        self.place = nn.Embedding(places, width) if config.position != "none" else None
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.last = nn.LayerNorm(width)
        self.head = nn.Linear(width, size)
        self._begin_small()

    def forward(self, sequence: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """``generator`` draws dropout; without it nothing is dropped."""
        labels, tokens = self.divide(sequence.long())
        drop = Dropout(self.config.dropout, generator)
        x = drop(self.embed(labels, tokens))
        for block in self.blocks:
            x = block(x, drop)
        logits: Tensor = self.head(self.last(x))
        return logits

    def divide(self, sequence: Tensor) -> tuple[Tensor | None, Tensor]:
        """The classes (n,), if the network knows any, and the tokens (n, places)."""
        return (sequence[:, 0], sequence[:, 1:]) if self.config.classes else (None, sequence)

    def embed(self, labels: Tensor | None, tokens: Tensor) -> Tensor:
        """What the first block sees at each place: (n, places, width)."""
        n = tokens.shape[0]  # a number of images that an exported network leaves free
        begin = self.begin(tokens.new_zeros(n) if labels is None else labels)
        x = torch.cat([begin[:, None], self.before(tokens[:, :-1])], 1)
        if self.place is not None:
            x = x + self.place.weight
        for right, embedding in zip(ABOVE, self.above, strict=False):
            x = x + embedding(self._above(tokens, right))
        return x

    def _above(self, tokens: Tensor, right: int) -> Tensor:
        """For each place the token in the row above, so many columns to the right, (n, places)."""
        rows, columns = self.tokens.rows, self.tokens.columns
        padded = F.pad(tokens.view(-1, rows, columns), (1, 1, 1, 0), value=self.tokens.size)
        return padded[:, :-1, 1 + right : 1 + right + columns].flatten(1)

    def start(self, n: int, labels: Tensor | None = None) -> Cache:
        """The empty memory of ``n`` sequences, to be filled by ``step``."""
        config, device = self.config, self.head.weight.device
        shape = config.layers, n, config.heads, self.tokens.places, config.width // config.heads
        keys, values = (torch.zeros(shape, device=device) for _ in range(2))
        return Cache(keys, values, torch.zeros(n, self.tokens.places, dtype=torch.int64, device=device), labels)

    def step(self, cache: Cache, place: int, previous: Tensor | None) -> Tensor:
        """Logits (n, vocabulary) of the token at ``place``, after the token ``previous`` (n,) at the one before it."""
        if previous is not None:
            cache.tokens[:, place - 1] = previous
        x = self._embed_one(cache, place)[:, None]
        for layer, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            queries, keys, values = block.attention.split(block.before_attention(x))
            cache.keys[layer, :, :, place], cache.values[layer, :, :, place] = keys[:, :, 0], values[:, :, 0]
            keys, values = cache.keys[layer, :, :, : place + 1], cache.values[layer, :, :, : place + 1]
            x = x + block.attention.join(attend(queries, keys, values))
            x = x + block.perceptron(block.before_perceptron(x))
        logits: Tensor = self.head(self.last(x[:, 0]))
        return logits

    def attention_maps(self, sequence: Tensor) -> Tensor:
        """How much each place looks at each earlier one, by block and head: (n, layers, heads, places, places)."""
        x, maps = self.embed(*self.divide(sequence)), []
        drop = Dropout(0, None)
        for block in self.blocks:
            assert isinstance(block, Block)
            queries, keys, _ = block.attention.split(block.before_attention(x))
            maps.append(attention_weights(queries, keys, causal=True))
            x = block(x, drop)
        return torch.stack(maps, 1)

    def _embed_one(self, cache: Cache, place: int) -> Tensor:
        tokens, columns = cache.tokens, self.tokens.columns
        labels = tokens.new_zeros(len(tokens)) if cache.labels is None else cache.labels
        x: Tensor = self.before(tokens[:, place - 1]) if place else self.begin(labels)
        if self.place is not None:
            x = x + self.place.weight[place]
        row, column = divmod(place, columns)
        for right, embedding in zip(ABOVE, self.above, strict=False):
            inside = row > 0 and 0 <= column + right < columns
            outside = torch.full_like(tokens[:, 0], self.tokens.size)
            x = x + embedding(tokens[:, place - columns + right] if inside else outside)
        return x

    def _begin_small(self) -> None:
        for name, weight in self.named_parameters():
            if weight.dim() > 1:
                ends_branch = name.endswith(("attention.output.weight", "perceptron.2.weight"))
                scale = (2 * self.config.layers) ** -0.5 if ends_branch else 1.0
                nn.init.normal_(weight, 0.0, DEVIATION * scale)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)
