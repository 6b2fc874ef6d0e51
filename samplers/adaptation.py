"""Step sizes that find themselves: stochastic approximation towards an acceptance rate.

    log ε ← log ε + k^(−0.6) (acceptance − target) / (target (1 − target)),  k = 1, 2, …

(Robbins and Monro 1951; Andrieu and Thoms 2008, section 4). Each chain adapts its own, so chains stay independent; by
that it hears one noisy acceptance a step, where the last iterate of this rule came closer to the target than the average
that dual averaging keeps. An adapting chain has no stationary law: adapt first, then freeze.
"""

from typing import NamedTuple

from torch import Tensor

DECAY = 0.6  # between 1/2 and 1: near 1/2 it forgets a bad start sooner, near 1 it averages longer


class Adaptation(NamedTuple):
    """Step sizes that are being found, one for each chain."""

    log_step: Tensor  # (chains,)
    updates: int  # made so far


def init(step_size: Tensor) -> Adaptation:
    """Begin at ``step_size``, (chains,), all above 0."""
    return Adaptation(step_size.log(), 0)


def update(adaptation: Adaptation, acceptance: Tensor, target: float) -> Adaptation:
    """What is known after a step that was accepted with the probability ``acceptance``, (chains,)."""
    updates = adaptation.updates + 1
    gain = updates**-DECAY / (target * (1 - target))
    return Adaptation(adaptation.log_step + gain * (acceptance - target), updates)
