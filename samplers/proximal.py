"""Proximal Langevin dynamics: a clamped gradient, as JEM++ trains with (Yang and Ji 2021, arXiv:2109.09032).

M times:  p = ∂E/∂z at z = f₁(x), by a whole pass through the network E(x) = r(f₁(x));
          N times:  x ← x − α clamp(∂(p · f₁(x))/∂x, ±δ), cut to the bounds;
          x ← x + σ N(0, I), cut to the bounds

A step of the kernel is one of the M; the N inner ones go through the first layer f₁ alone, with p frozen (Zhang et al.
2019, "You only propagate once", arXiv:1905.00877). Where f₁ is linear, as in the published code, the inner gradient does
not change, and N steps of α are one of N·α: give no first layer then. The clamp is that of a proximal step within an ℓ∞
ball. This optimises more than it samples: there is no known stationary law, and σ = 0 in the published runs.
"""

from collections.abc import Callable

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
from samplers.reflection import Bounds, clip_to_bounds


def build(
    energy: Energy,
    step_size: Parameter,
    clamp: float,
    noise: Parameter = 0.0,
    inner_steps: int = 1,
    first_layer: Callable[[Tensor], Tensor] | None = None,
    bounds: Bounds | None = None,
) -> Kernel:
    """A proximal Langevin kernel.

    ``step_size`` is α, ``clamp`` is δ > 0, ``inner_steps`` is N >= 1 and ``noise`` is σ above; α and σ are numbers >= 0,
    schedules, or either with a value for each chain. With ``first_layer`` f₁, ``energy`` is r, a function of f₁'s output;
    without, it is E itself. ``bounds`` cut positions, which leaves probability on them. A step counts as one evaluation:
    passes through the first layer alone are not counted. The info's gradient is that of the first inner step, clamped.
    """
    if inner_steps < 1:
        raise ValueError(f"a proximal step needs at least one inner step, not {inner_steps}")

    def init(x: Tensor) -> State:
        return State(x.detach(), 0)

    def step(state: State, generator: Generator) -> tuple[State, Info]:
        x = state.position
        a, s = per_chain(value_at(step_size, state.step), x), per_chain(value_at(noise, state.step), x)
        if first_layer is None:
            e, gradient = energy_and_gradient(energy, x, clamp)
            x = clip_to_bounds(x - inner_steps * a * gradient, bounds)
        else:
            e, gradient, x = inner(first_layer, x, a)
        if isinstance(s, Tensor) or s > 0:
            x = clip_to_bounds(x + s * standard_normal(x, generator), bounds)
        return State(x, state.step + 1), Info(e, gradient)

    def inner(layer: Callable[[Tensor], Tensor], x: Tensor, a: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
        with torch.no_grad():
            z = layer(x)
        e, p = energy_and_gradient(energy, z)
        moves = []
        for _ in range(inner_steps):
            _, gradient = energy_and_gradient(lambda y: (p * layer(y)).flatten(1).sum(1), x, clamp)
            moves.append(gradient)
            x = clip_to_bounds(x - a * gradient, bounds)
        return e, moves[0], x

    return Kernel(init, step)
