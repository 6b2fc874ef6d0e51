"""The Metropolis-adjusted Langevin algorithm: a Langevin step is proposed, then accepted or rejected, so the law is exact.

    y = x − a ∇E(x) + √(2aT) N(0, I)

(Roberts and Tweedie 1996), accepted so that exp(−E/T) is stationary. The proposal is read as one leapfrog step of length
ε = √(2a) with a momentum p ~ N(0, T I) (Neal 2011, arXiv:1206.1901, section 5.2), the ratio as exp(−ΔH/T) with
H = E + |p|²/2: the same number as by densities of the proposal, and right also for a clipped gradient and between
reflecting walls.

At a temperature T the ratio is that of energies divided by T: where |E| · 6e-8 is not far below T, single precision
cannot tell an acceptance from a rejection. The recipes that make pictures run colder than that.
"""

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from samplers import adaptation
from samplers.adaptation import Adaptation
from samplers.kernel import Energy, Kernel, Parameter, at, column, energy_and_gradient, row, standard_normal
from samplers.metropolis import choose, decide, gain
from samplers.reflection import Bounds, reflect


class State(NamedTuple):
    """Where the chains are, and what is known of the energy there."""

    position: Tensor  # (chains, *shape)
    energy: Tensor  # (chains,)
    gradient: Tensor  # (chains, *shape), after clipping
    step: int  # steps taken so far: the index at which schedules are read
    adaptation: Adaptation | None  # of ε, None without warm-up


class Info(NamedTuple):
    """What a step saw at the position that it left, and how it went."""

    energy: Tensor  # (chains,)
    gradient: Tensor  # (chains, *shape), after clipping
    acceptance: Tensor  # (chains,), the probability with which the proposal was accepted
    step_size: float | Tensor  # a; (chains,) where it is adapted


def build(
    energy: Energy,
    step_size: Parameter,
    temperature: Parameter = 1.0,
    warmup: int = 0,
    target: float = 0.574,
    grad_clip: float | None = None,
    bounds: Bounds | None = None,
) -> Kernel:
    """A MALA kernel.

    ``step_size`` is a and ``temperature`` is T above: numbers > 0, schedules, or either with a value for each chain. In
    the first ``warmup`` steps each chain adapts a step size of its own, from ``step_size`` on, towards the acceptance
    ``target`` (0.574 is best in many dimensions: Roberts and Rosenthal 1998); then it is frozen, and only from there on
    the law is exact. Each element of the gradient is cut to ±``grad_clip``, which changes the proposal and not the law.
    ``bounds`` are walls that reflect: the law is exp(−E/T) between them, exactly. Starts are cut to them.
    """

    def init(x: Tensor) -> State:
        x = x.detach() if bounds is None else x.detach().clamp(*bounds)
        e, gradient = evaluate(x)
        if not warmup:
            return State(x, e, gradient, 0, None)
        first = torch.as_tensor(at(step_size, 0), dtype=x.dtype, device=x.device)
        return State(x, e, gradient, 0, adaptation.init((2 * first.flatten()).sqrt().expand(len(x))))

    def evaluate(x: Tensor) -> tuple[Tensor, Tensor]:
        e, gradient = energy_and_gradient(energy, x)
        return e, gradient if grad_clip is None else gradient.clamp(-grad_clip, grad_clip)

    def step(state: State, generator: Generator) -> tuple[State, Info]:
        found = state.adaptation
        if found is None:
            a = at(step_size, state.step)
        else:
            a = (2 * found.log_step).exp() / 2
        t, length = at(temperature, state.step), column((2 * a) ** 0.5, state.position)

        p = standard_normal(state.position, generator) * column(t**0.5, state.position)
        half = p - length / 2 * state.gradient
        x = state.position + length * half
        if bounds is not None:
            x, half = reflect(x, half, bounds)
        e, gradient = evaluate(x)
        gained = e - state.energy + gain(p, half - length / 2 * gradient)
        accepted, probability = decide(-gained / row(t), generator)

        if found is not None and found.updates < warmup:
            found = adaptation.update(found, probability, target)
        after = State(
            choose(accepted, x, state.position),
            choose(accepted, e, state.energy),
            choose(accepted, gradient, state.gradient),
            state.step + 1,
            found,
        )
        return after, Info(state.energy, state.gradient, probability, a)

    return Kernel(init, step)
