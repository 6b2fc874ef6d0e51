"""Accepting or rejecting proposals, chain by chain (Metropolis et al. 1953; Hastings 1970)."""

import torch
from torch import Generator, Tensor

from samplers.kernel import per_chain


def accept(log_ratio: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Which proposals are accepted, and min(1, ratio), the probability that they are; both (chains,).

    A ratio that is not a number, as of an energy that overflowed, is a rejection.
    """
    probability = log_ratio.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf).clamp(max=0).exp()
    uniform = torch.empty_like(probability).uniform_(generator=generator)  # in [0, 1): 1 always passes, 0 never
    return uniform < probability, probability


def where_accepted(accepted: Tensor, proposed: Tensor, current: Tensor) -> Tensor:
    """The proposal where it is accepted, else what was; ``accepted`` is (chains,), the others (chains, …)."""
    return torch.where(per_chain(accepted, current), proposed, current)


def kinetic_difference(before: Tensor, after: Tensor) -> Tensor:
    """What the kinetic energy |p|²/2 has gained, (chains,): summed over differences, which are small beside the squares."""
    return ((after - before) * (after + before)).flatten(1).sum(1) / 2
