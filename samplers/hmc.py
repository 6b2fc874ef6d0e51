"""Hamiltonian Monte Carlo: leapfrog trajectories with fresh momenta, accepted so that exp(−E/T) is stationary.

    p ~ N(0, T I);  n times:  p ← p − (ε/2) ∇E(x),  x ← x + ε p,  p ← p − (ε/2) ∇E(x);  accept with exp(−ΔH/T),

H = E + |p|²/2 (Duane et al. 1987; Neal 2011, arXiv:1206.1901). One leapfrog step is MALA's with a = ε²/2; what is said
there of cold temperatures holds here.
"""

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from samplers import adaptation
from samplers.adaptation import Adaptation
from samplers.kernel import (
    Energy,
    Kernel,
    Parameter,
    energy_and_gradient,
    per_chain,
    per_chain_flat,
    standard_normal,
    value_at,
)
from samplers.metropolis import accept, kinetic_difference, where_accepted
from samplers.reflection import Bounds, clip_to_bounds, reflect


class State(NamedTuple):
    """Where the chains are, and what is known of the energy there."""

    position: Tensor  # (chains, *shape)
    energy: Tensor  # (chains,)
    gradient: Tensor  # (chains, *shape), after clipping
    step: int  # trajectories so far: the index at which schedules are read
    adaptation: Adaptation | None  # of ε, None without warm-up


class Info(NamedTuple):
    """What a step saw at the position that it left, and how it went."""

    energy: Tensor  # (chains,)
    gradient: Tensor  # (chains, *shape), after clipping
    acceptance: Tensor  # (chains,), the probability with which the end of the trajectory was accepted
    step_size: float | Tensor  # ε before jitter; (chains,) where it is adapted


def build(
    energy: Energy,
    step_size: Parameter,
    leapfrog_steps: int,
    temperature: Parameter = 1.0,
    jitter: float = 0.0,
    warmup: int = 0,
    target: float = 0.8,
    grad_clip: float | None = None,
    bounds: Bounds | None = None,
) -> Kernel:
    """An HMC kernel.

    ``step_size`` is ε, ``leapfrog_steps`` is n >= 1 and ``temperature`` is T above; ε and T are numbers > 0, schedules, or
    either with a value for each chain. ``jitter`` in [0, 1) draws the length of each trajectory, at its number of steps,
    from ε · n · (1 ± jitter): without it a trajectory may come back to where it began again and again. In the first
    ``warmup`` steps each chain adapts an ε of its own towards the acceptance ``target`` (0.8: Hoffman and Gelman 2014);
    then it is frozen, and only from there on the law is exact. Each element of the gradient is cut to ±``grad_clip``,
    which changes the proposal and not the law. ``bounds`` are walls that reflect: the law is exp(−E/T) between them,
    exactly. Starts are cut to them.
    """
    if leapfrog_steps < 1:
        raise ValueError(f"a trajectory needs at least one leapfrog step, not {leapfrog_steps}")
    if not 0 <= jitter < 1:
        raise ValueError(f"jitter is a share of the length from 0 to below 1, not {jitter:g}")

    def init(x: Tensor) -> State:
        x = clip_to_bounds(x.detach(), bounds)
        e, gradient = energy_and_gradient(energy, x, grad_clip)
        if not warmup:
            return State(x, e, gradient, 0, None)
        first = torch.as_tensor(value_at(step_size, 0), dtype=x.dtype, device=x.device)
        return State(x, e, gradient, 0, adaptation.init(first.flatten().expand(len(x))))

    def step(state: State, generator: Generator) -> tuple[State, Info]:
        averaging = state.adaptation
        if averaging is None:
            chosen = value_at(step_size, state.step)
        else:
            chosen = averaging.log_step.exp()
        t, length = value_at(temperature, state.step), chosen
        if jitter:
            uniform = torch.empty_like(state.energy).uniform_(1 - jitter, 1 + jitter, generator=generator)
            length = per_chain_flat(chosen) * uniform
        length = per_chain(length, state.position)

        before = standard_normal(state.position, generator) * per_chain(t**0.5, state.position)
        x, p, e, gradient = state.position, before, state.energy, state.gradient
        for _ in range(leapfrog_steps):
            p = p - length / 2 * gradient
            x = x + length * p
            if bounds is not None:
                x, p = reflect(x, p, bounds)
            e, gradient = energy_and_gradient(energy, x, grad_clip)
            p = p - length / 2 * gradient
        accepted, probability = accept(
            -(e - state.energy + kinetic_difference(before, p)) / per_chain_flat(t), generator
        )

        if averaging is not None and averaging.updates < warmup:
            averaging = adaptation.update(averaging, probability, target)
        after = State(
            where_accepted(accepted, x, state.position),
            where_accepted(accepted, e, state.energy),
            where_accepted(accepted, gradient, state.gradient),
            state.step + 1,
            averaging,
        )
        return after, Info(state.energy, state.gradient, probability, chosen)

    return Kernel(init, step, evaluations=leapfrog_steps)
