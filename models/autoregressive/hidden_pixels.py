"""Images of which a part is hidden, completed three ways by a Bayesian network, with what each says of their probability."""

from collections.abc import Iterator

import torch
from torch import Tensor

from models.autoregressive.bayes_net import BayesNet
from models.autoregressive.inference import (
    ancestral,
    exact_where_last,
    gibbs,
    importance,
    mean_field,
)
from models.data.dataset import Data
from models.env import Env
from models.events import Event, Images, Scalars
from models.parts.training.reporting import finite

N_IMAGES = 6
GIBBS_SWEEPS = 30
FIELD_SWEEPS = 4
GUESSES = 16  # completions in ancestral order, from whose mean it begins
DRAWS = 8  # of q in an update of mean field


def hidden_pixels(net: BayesNet, data: Data, env: Env, step: int) -> Iterator[Event]:
    """Of validation images with the lower half hidden, and with a square in the middle hidden."""
    images = data.validation.floats(torch.arange(min(N_IMAGES, len(data.validation)))).to(env.device)
    lower = torch.zeros(net.height, net.width, dtype=torch.bool, device=env.device)
    square = lower.clone()
    lower[net.height // 2 :] = True
    rows, columns = net.height // 4, net.width // 4
    square[rows : net.height - rows, columns : net.width - columns] = True
    for name, suffix, hidden in (("lower_half", "", lower.flatten()), ("square", "_square", square.flatten())):
        tokens = net.tokens.encode(images)
        generator = env.generator(f"hidden pixels, {name}")
        guesses = ancestral(net, tokens.repeat(GUESSES, 1), hidden, generator)
        begun = guesses[: len(tokens)]
        # From ½ it would end at a local maximum far from the strokes that are seen.
        field = mean_field(net, _shares(guesses, tokens, hidden), hidden, FIELD_SWEEPS, DRAWS, generator)
        chains = gibbs(net, begun, hidden, GIBBS_SWEEPS, generator)
        yield _picture(net, step, f"inference/{name}", tokens, hidden, field.white, chains, begun)
        estimate = importance(net, field.white, hidden, generator)
        values = {
            f"inference/elbo{suffix}": float(field.elbo.mean()),
            f"inference/importance{suffix}": float(estimate.nats.mean()),
            f"inference/effective_samples{suffix}": float(estimate.effective_samples.mean()),
        }
        if name == "lower_half":
            values["inference/exact"] = float(exact_where_last(net, tokens, hidden).mean())
        yield Scalars(step, finite(values))


def _shares(guesses: Tensor, tokens: Tensor, hidden: Tensor) -> Tensor:
    """The share of guesses (GUESSES · n, places) in which a hidden pixel is white, never quite 0 or 1: (n, places)."""
    counts = guesses.view(GUESSES, *tokens.shape).double().sum(0)
    return torch.where(hidden, (counts + 0.5) / (GUESSES + 1), tokens.double())


def _picture(
    net: BayesNet, step: int, key: str, tokens: Tensor, hidden: Tensor, white: Tensor, chains: Tensor, begun: Tensor
) -> Images:
    """Rows: what is seen, mean field's probabilities, Gibbs, ancestral, the originals."""
    original = net.tokens.decode(tokens)
    seen = torch.where(hidden.view(1, 1, net.height, net.width), 0.0, original)
    probabilities = (2 * white - 1).float().view_as(original)
    rows = [seen, probabilities, net.tokens.decode(chains), net.tokens.decode(begun), original]
    return Images(step, key, torch.cat(rows).cpu(), len(tokens))
