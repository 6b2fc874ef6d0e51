"""New images, token by token: sharpened, cut off, or begun with pixels that are given."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from models.autoregressive.networks import Network, n_classes
from models.autoregressive.transformer import ImageGPT
from models.parts.evaluation.classes import in_turn

BATCH = 500  # images that are written at the same time


class Sharpness(NamedTuple):
    """How the distribution of a token is changed before one is drawn; by default it is not."""

    temperature: float = 1.0  # logits are divided by it
    top_k: int = 0  # only so many likeliest tokens remain; 0: all
    top_p: float = 1.0  # only the likeliest tokens that together have this probability remain, at least one

    def apply(self, logits: Tensor) -> Tensor:
        """Logits (n, vocabulary), -inf where a token may not be drawn."""
        logits = logits / self.temperature
        if 0 < self.top_k < logits.shape[1]:
            least = logits.topk(self.top_k, 1).values[:, -1:]
            logits = logits.masked_fill(logits < least, -torch.inf)
        if self.top_p < 1:
            ordered, order = logits.sort(1, descending=True)
            before = ordered.softmax(1).cumsum(1) - ordered.softmax(1)  # of the tokens that are likelier
            cut = torch.zeros_like(logits, dtype=torch.bool).scatter(1, order, before >= self.top_p)
            logits = logits.masked_fill(cut, -torch.inf)
        return logits


PLAIN = Sharpness()


def draw_tokens(
    net: Network,
    n: int,
    generator: Generator,
    sharpness: Sharpness = PLAIN,
    given: Tensor | None = None,
    hidden_from: int = 0,
    labels: Tensor | None = None,
) -> Tensor:
    """``n`` sequences of tokens, (n, places).

    The first ``hidden_from`` tokens are those of ``given`` (n, places). ``labels`` (n,) matter to a network that knows classes:
    without them it writes each class in turn.
    """
    parts = []
    for first in range(0, n, BATCH):
        size = min(BATCH, n - first)
        part = slice(first, first + size)
        of_part = labels[part] if labels is not None and n_classes(net) else None
        if n_classes(net) and of_part is None:
            of_part = in_turn(n, n_classes(net), str(generator.device))[part]
        begun = given[part] if given is not None else None
        parts.append(_draw(net, size, generator, sharpness, begun, hidden_from, of_part))
    return torch.cat(parts)


def _draw(
    net: Network,
    n: int,
    generator: Generator,
    sharpness: Sharpness,
    given: Tensor | None,
    hidden_from: int,
    labels: Tensor | None,
) -> Tensor:
    tokens = torch.zeros(n, net.tokens.places, dtype=torch.int64, device=generator.device)
    with torch.no_grad():
        state = net.start(n, labels) if isinstance(net, ImageGPT) else net.start(n)
        step: Callable[..., Tensor] = net.step
        for place in range(net.tokens.places):
            logits = step(state, place, tokens[:, place - 1] if place else None)
            if given is not None and place < hidden_from:
                tokens[:, place] = given[:, place]
            else:
                law = sharpness.apply(logits).softmax(1)
                tokens[:, place] = torch.multinomial(law, 1, generator=generator)[:, 0]
    return tokens


def draw_images(net: Network, n: int, generator: Generator, sharpness: Sharpness = PLAIN) -> Tensor:
    """``n`` new images, (n, 1, height, width) in [-1, 1]."""
    return net.tokens.decode(draw_tokens(net, n, generator, sharpness))
