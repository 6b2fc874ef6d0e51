"""Unadjusted Langevin dynamics with step size and noise apart, as energy-based models of images are trained.

    x ← x − a ∇E(x) + s N(0, I)

Without ``noise``, s = √(2a): the chain targets exp(−E) up to its discretisation error, and a = ε²/2, s = ε is the
textbook rule. In general it targets exp(−E/T) at the temperature T = s²/2a; the recipes that make pictures (Du and
Mordatch 2019, arXiv:1903.08689; Grathwohl et al. 2019, arXiv:1912.03263) are 4 to 8 orders of magnitude colder.
"""

import math

import torch
from torch import Generator, Tensor

from samplers.kernel import (
    Energy,
    Info,
    Kernel,
    Parameter,
    State,
    energy_and_gradient,
    per_chain,
    standard_normal,
    value_at,
)


def build(
    energy: Energy,
    step_size: Parameter,
    noise: Parameter | None = None,
    grad_clip: float | None = None,
    bounds: tuple[float, float] | None = None,
) -> Kernel:
    """A Langevin kernel.

    ``step_size`` is a above, ``noise`` is s (None: √(2a)); each is a number >= 0, a schedule, or either with a value for
    each chain, so that chains of many settings share one pass through the network. Each element of the gradient is cut
    to ±``grad_clip``; each element of the position to ``bounds`` after the noise.
    """

    def init(x: Tensor) -> State:
        return State(x.detach(), 0)

    def step(state: State, generator: Generator) -> tuple[State, Info]:
        e, gradient = energy_and_gradient(energy, state.position, grad_clip)
        a = value_at(step_size, state.step)
        s = _matching(a) if noise is None else value_at(noise, state.step)
        x = _add(state.position, gradient, -a)  # a tensor of its own: what follows may write to it
        if isinstance(s, Tensor) or s > 0:
            _add(x, standard_normal(x, generator), s, out=x)
        if bounds is not None:
            x.clamp_(*bounds)
        return State(x, state.step + 1), Info(e, gradient)

    return Kernel(init, step)


def _matching(a: float | Tensor) -> float | Tensor:
    return (2 * a).sqrt() if isinstance(a, Tensor) else math.sqrt(2 * a)


def _add(x: Tensor, direction: Tensor, scale: float | Tensor, out: Tensor | None = None) -> Tensor:
    """x + scale · direction, in one pass over memory."""
    if isinstance(scale, Tensor):
        return torch.addcmul(x, direction, per_chain(scale, x), out=out)
    return torch.add(x, direction, alpha=scale, out=out)
