"""Hidden pixels of a binary Bayesian network given the others: by a factorised posterior, Gibbs sampling, ancestral sampling.

Every probability P(pixel | parents) reaches over 4 rows and 7 columns of the image. So pixels that are 4 rows or 7 columns apart
share none, and all pixels of one of 28 such lattices are updated at the same time, exactly as if one after the other.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from models.autoregressive.bayes_net import BayesNet
from models.autoregressive.neighbours import REACH
from models.autoregressive.networks import nats_by_place

ROWS, COLUMNS = REACH + 1, 2 * REACH + 1  # that a probability reaches over
PROPOSALS = 500  # of an importance estimate


class Posterior(NamedTuple):
    """A factorised posterior q(hidden pixels) = Π μ^x (1 − μ)^(1 − x)."""

    white: Tensor  # μ (n, places), 0 or 1 where a pixel is seen
    elbo: Tensor  # nats (n,): a lower bound on log P(seen pixels), estimated without bias


class Importance(NamedTuple):
    """An estimate of log P(seen pixels) with the posterior as the proposal."""

    nats: Tensor  # (n,)
    effective_samples: Tensor  # (n,), of PROPOSALS


def lattices(net: BayesNet, hidden: Tensor) -> Iterator[Tensor]:
    """The hidden pixels (places,) bool in sets whose members share no probability."""
    rows = torch.arange(net.height, device=hidden.device)[:, None].expand(net.height, net.width).flatten()
    columns = torch.arange(net.width, device=hidden.device).expand(net.height, net.width).flatten()
    for row in range(ROWS):
        for column in range(COLUMNS):
            members = hidden & (rows % ROWS == row) & (columns % COLUMNS == column)
            if bool(members.any()):
                yield members


def log_odds(net: BayesNet, tokens: Tensor, members: Tensor) -> Tensor:
    """log P(white, rest) − log P(black, rest) of each member of a lattice given all other pixels, (n, members)."""
    both = [torch.where(members, torch.full_like(tokens, value), tokens) for value in (1, 0)]
    white, black = nats_by_place(net, torch.cat(both)).chunk(2)
    changes = (white - black).view(-1, 1, net.height, net.width)
    # A pixel is in its own probability and in those up to 3 rows below and 3 columns to either side.
    padded = F.pad(changes, (REACH, REACH, 0, REACH))
    sums = F.conv2d(padded, torch.ones(1, 1, ROWS, COLUMNS, dtype=changes.dtype, device=changes.device))
    return sums.flatten(1)[:, members]


def gibbs(net: BayesNet, tokens: Tensor, hidden: Tensor, sweeps: int, generator: Generator) -> Tensor:
    """Tokens (n, places) after each hidden pixel was drawn ``sweeps`` times given all others."""
    tokens = tokens.clone()
    for _ in range(sweeps):
        for members in lattices(net, hidden):
            probability = log_odds(net, tokens, members).sigmoid()
            tokens[:, members] = torch.bernoulli(probability, generator=generator).long()
    return tokens


def mean_field(
    net: BayesNet, begin: Tensor, hidden: Tensor, sweeps: int, draws: int, generator: Generator
) -> Posterior:
    """Coordinate ascent of the ELBO: logit μ ← E_q[log P(white, rest) − log P(black, rest)], by ``draws`` of q.

    The draws are of the same uniform numbers in every sweep, so that ascent settles. It ends at the maximum that is uphill of
    ``begin`` (n, places), the first μ; seen pixels are 0 or 1 there and stay so.
    """
    n, places = begin.shape
    white = begin.double().clone()
    uniform = torch.rand(draws, n, places, generator=generator, device=begin.device)
    for _ in range(sweeps):
        for members in lattices(net, hidden):
            drawn = (uniform < white).long().flatten(0, 1)
            odds = log_odds(net, drawn, members).view(draws, n, -1).mean(0)
            white[:, members] = odds.sigmoid()
    return Posterior(white, elbo(net, white, hidden, generator))


def elbo(net: BayesNet, white: Tensor, hidden: Tensor, generator: Generator, draws: int = 200) -> Tensor:
    """E_q log P(all pixels) + the entropy of q, in nats (n,), by draws of q."""
    joint, _ = _proposed(net, white, hidden, draws, generator)
    return joint.mean(0) + entropy(white, hidden)


def entropy(white: Tensor, hidden: Tensor) -> Tensor:
    """Of q, in nats (n,)."""
    nats: Tensor = torch.special.entr(white) + torch.special.entr(1 - white)
    return nats[:, hidden].sum(1)


def importance(net: BayesNet, white: Tensor, hidden: Tensor, generator: Generator) -> Importance:
    """log mean P(seen, x) / q(x) over draws of q."""
    clamped = torch.where(hidden, white.clamp(1e-3, 1 - 1e-3), white)  # else what q excludes would never be proposed
    joint, proposal = _proposed(net, clamped, hidden, PROPOSALS, generator)
    log_weights = joint - proposal
    total = log_weights.logsumexp(0)
    effective = (2 * total - (2 * log_weights).logsumexp(0)).exp()
    return Importance(total - math.log(PROPOSALS), effective)


def exact_where_last(net: BayesNet, tokens: Tensor, hidden: Tensor) -> Tensor:
    """log P(seen pixels), (n,), where all hidden pixels come after all seen ones: the chain rule gives it."""
    first = int(hidden.nonzero()[0])
    assert bool(hidden[first:].all())
    return nats_by_place(net, tokens)[:, :first].sum(1)


def ancestral(net: BayesNet, tokens: Tensor, hidden: Tensor, generator: Generator) -> Tensor:
    """Hidden pixels drawn in the order of reading, each given its parents: blind to what is seen below them."""
    tokens, n = tokens.clone(), len(tokens)
    with torch.no_grad():
        canvas = net.start(n)
        for place in range(tokens.shape[1]):
            logits = net.step(canvas, place, tokens[:, place - 1] if place else None)
            if bool(hidden[place]):
                tokens[:, place] = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    return tokens


def _proposed(net: BayesNet, white: Tensor, hidden: Tensor, draws: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """log P(all pixels) and log q(hidden pixels) of draws of q, each (draws, n)."""
    n, places = white.shape
    x = torch.rand(draws, n, places, generator=generator, device=white.device) < white
    joint = nats_by_place(net, x.long().flatten(0, 1)).sum(1).view(draws, n)
    law = torch.where(x, white.log(), (-white).log1p())
    return joint, law[..., hidden].sum(2)
