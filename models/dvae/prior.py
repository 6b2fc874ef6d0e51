"""The law of an image's tokens, learned one token after the other: with it the autoencoder draws new images."""

import copy
import math
from collections.abc import Generator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.env import Env
from models.events import Curve, Event, Progress
from models.parts.training.optimisation import learning_rate, set_learning_rate
from models.parts.training.reporting import is_report_step

BATCH_SIZE = 64
LEARNING_RATE = 4e-3
DROPPED = 0.2  # share of its inputs and of its memory, while it learns: few images have many tokens
N_EVALUATIONS = 20  # on validation tokens while it learns


class Prior(nn.Module):
    """p(t) = Π p(tᵢ | t₁ … tᵢ₋₁) over tokens (n, rows, columns) in the order of reading.

    A gated recurrent network (Cho et al. 2014, arXiv:1406.1078) that is given at each place the code before it, the code
    above it and the place; its memory knows of all others. Codes, not tokens: what it learns of one holds for those near it.
    """

    codes: Tensor

    def __init__(self, size: int, dimension: int, rows: int, columns: int, width: int) -> None:
        super().__init__()
        self.size, self.rows, self.columns = size, rows, columns
        self.register_buffer("codes", torch.zeros(size + 1, dimension))  # the last: no token
        self.before, self.above = nn.Linear(dimension, width), nn.Linear(dimension, width)
        self.place = nn.Embedding(rows * columns, width)
        self.memory = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, size)

    def see(self, codes: Tensor) -> None:
        """The codes (size, dimension) that tokens stand for, of which it keeps a copy with variance 1."""
        self.codes[:-1] = (codes - codes.mean(0)) / codes.std().clamp_min(1e-6)

    def forward(self, tokens: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Logits of every token given those before it, (n, places, size); with ``generator`` some of what it sees is dropped."""
        flat = tokens.flatten(1)
        before = F.pad(flat, (1, 0), value=self.size)[:, :-1]
        above = F.pad(flat, (self.columns, 0), value=self.size)[:, : -self.columns]
        inputs = self.before(self.codes[before]) + self.above(self.codes[above]) + self.place.weight
        outputs, _ = self.memory(_dropout(inputs, generator))
        logits: Tensor = self.head(_dropout(outputs, generator))
        return logits

    def bits(self, tokens: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Mean of −log₂ p(tᵢ | t₁ … tᵢ₋₁) over images and places: what a token costs to say."""
        return F.cross_entropy(self(tokens, generator).flatten(0, 1), tokens.flatten()) / math.log(2)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """So many maps of tokens, (n, rows, columns), without gradients."""
        device = self.place.weight.device
        drawn = torch.full((n, self.columns + self.rows * self.columns), self.size, device=device)  # a row of no tokens
        hidden = None
        with torch.no_grad():
            for place in range(self.rows * self.columns):
                position = place + self.columns
                before = drawn[:, position - 1] if place else drawn[:, 0]
                inputs = (
                    self.before(self.codes[before]) + self.above(self.codes[drawn[:, place]]) + self.place.weight[place]
                )
                outputs, hidden = self.memory(inputs[:, None], hidden)
                law = self.head(outputs[:, 0]).softmax(1)
                drawn[:, position] = torch.multinomial(law, 1, generator=generator)[:, 0]
        return drawn[:, self.columns :].view(n, self.rows, self.columns)


def _dropout(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Each number with probability DROPPED zero, else so much larger that its mean stays."""
    if generator is None:
        return x
    return x * torch.empty_like(x).bernoulli_(1 - DROPPED, generator=generator) / (1 - DROPPED)


def learn(
    prior: Prior, codes: Tensor, tokens: Tensor, held_out: Tensor, updates: int, env: Env, step: int
) -> Generator[Event, None, None]:
    """Give ``prior`` the law of ``tokens`` (n, rows, columns), which stand for ``codes`` (size, dimension).

    Of so many updates it keeps the weights that are best on ``held_out``.
    """
    prior.see(codes)
    generator = env.generator("prior")
    optimizer = torch.optim.Adam(prior.parameters(), LEARNING_RATE)
    best, best_bits = copy.deepcopy(prior.state_dict()), math.inf
    report_updates, training_losses, validation_losses = [], [], []
    for update in range(updates):
        set_learning_rate(optimizer, learning_rate(LEARNING_RATE, update, updates, 20))
        indices = torch.randint(len(tokens), (BATCH_SIZE,), generator=generator, device=env.device)
        loss = prior.bits(tokens[indices], generator)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(prior.parameters(), 1.0)
        optimizer.step()
        if is_report_step(update + 1, updates, N_EVALUATIONS):
            with torch.no_grad():
                validation_bits = float(prior.bits(held_out))
            report_updates.append(float(update + 1))
            training_losses.append(loss.item())
            validation_losses.append(validation_bits)
            if validation_bits < best_bits:
                best, best_bits = copy.deepcopy(prior.state_dict()), validation_bits
            yield Progress("prior", update + 1, updates)
    prior.load_state_dict(best)
    lines = {"training batch": training_losses, "validation": validation_losses}
    yield Curve(step, "prior/bits_of_a_token", report_updates, lines, "update of the prior", "bits a token")


def by_place(tokens: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """So many maps, the token of each place that of any of the given images: as frequent as there, without the others."""
    flat = tokens.flatten(1)
    indices = torch.randint(len(flat), (n, flat.shape[1]), generator=generator, device=flat.device)
    return flat.gather(0, indices).view(n, *tokens.shape[1:])


def bits_by_place(tokens: Tensor, held_out: Tensor, size: int) -> float:
    """What a token of ``held_out`` costs by how often each place has each among ``tokens``, each once more than counted."""
    flat, held_out = tokens.flatten(1), held_out.flatten(1)
    counts = torch.ones(flat.shape[1], size, dtype=torch.float64, device=flat.device)
    counts.scatter_add_(1, flat.T, torch.ones_like(flat.T, dtype=torch.float64))
    law = counts / counts.sum(1, keepdim=True)
    return float(-law.gather(1, held_out.T).log2().mean())
