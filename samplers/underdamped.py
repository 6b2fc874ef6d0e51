"""Underdamped Langevin dynamics, with a velocity that friction forgets, by the splitting BAOAB.

    dx = v dt,  dv = −∇E(x) dt − γ v dt + √(2γT) dW

(Leimkuhler and Matthews 2013, arXiv:1203.5428), with h the length of a step: a half kick by the gradient, half a flight,
exact friction and noise v ← e^(−γh) v + √(T(1 − e^(−2γh))) N(0, I), half a flight, a half kick. The target of x is
exp(−E/T). On a Gaussian the law of x is exactly that for every stable h (h²λ < 4 for curvatures λ), and v has the
variance T(1 − h²λ/4); elsewhere the error is of the order h².
"""

import math
from typing import NamedTuple

from torch import Generator, Tensor

from samplers.kernel import Energy, Info, Kernel, Parameter, energy_and_gradient, per_chain, standard_normal, value_at
from samplers.reflection import Bounds, clip_to_bounds, reflect


class State(NamedTuple):
    """Where the chains are and how they move, and what is known of the energy there."""

    position: Tensor  # (chains, *shape)
    velocity: Tensor  # (chains, *shape)
    energy: Tensor  # (chains,)
    gradient: Tensor  # (chains, *shape), after clipping
    step: int  # steps taken so far: the index at which schedules are read


def build(
    energy: Energy,
    step_size: Parameter,
    friction: Parameter = 1.0,
    temperature: Parameter = 1.0,
    grad_clip: float | None = None,
    bounds: Bounds | None = None,
) -> Kernel:
    """An underdamped Langevin kernel. Chains begin at rest.

    ``step_size`` is h > 0, ``friction`` is γ >= 0 and ``temperature`` is T >= 0 above: numbers, schedules, or either with
    a value for each chain. Velocities are remembered over a time of 1/γ. With γ = ∞ a step is one of plain Langevin
    dynamics of step size h²/2 whose noise is averaged over two steps, more exact at the same cost (Leimkuhler and
    Matthews 2013). Each element of the gradient is cut to ±``grad_clip``. ``bounds`` are walls that reflect, in each
    flight: they add no error to that of the step size. Starts are cut to them.
    """

    def init(x: Tensor) -> State:
        x = clip_to_bounds(x.detach(), bounds)
        return State(x, x.new_zeros(x.shape), *energy_and_gradient(energy, x, grad_clip), 0)

    def step(state: State, generator: Generator) -> tuple[State, Info]:
        x, v = state.position, state.velocity
        h, rate, t = (per_chain(value_at(value, state.step), x) for value in (step_size, friction, temperature))
        forgotten = rate * h
        persistence = (-forgotten).exp() if isinstance(forgotten, Tensor) else math.exp(-forgotten)
        spread = (t * (1 - persistence**2)) ** 0.5

        def fly(x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
            x = x + h / 2 * v
            return (x, v) if bounds is None else reflect(x, v, bounds)

        x, v = fly(x, v - h / 2 * state.gradient)
        x, v = fly(x, persistence * v + spread * standard_normal(x, generator))
        e, gradient = energy_and_gradient(energy, x, grad_clip)
        return State(x, v - h / 2 * gradient, e, gradient, state.step + 1), Info(state.energy, state.gradient)

    return Kernel(init, step)
