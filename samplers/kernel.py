"""What every sampler is: a kernel of two pure functions, and the loop that runs it."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

Energy = Callable[[Tensor], Tensor]
"""(chains, *shape) -> (chains,), unnormalised: exp(-E) is the density at temperature 1. Lower is likelier."""

Schedule = Callable[[int], float]
"""Index of a step, from 0 -> value at that step."""


class Kernel(NamedTuple):
    """One sampling algorithm with its parameters bound.

    ``init`` turns positions (chains, *shape) into a state; ``step`` advances a state once and returns the new state
    beside diagnostics. A state has ``position``; an info has ``energy``. Neither changes the state that it is given.
    """

    init: Callable[[Tensor], Any]
    step: Callable[[Any, Generator], tuple[Any, Any]]


def at(value: float | Schedule, step: int) -> float:
    """The value of a number or of a schedule at ``step``."""
    return value(step) if callable(value) else value


def energy_and_gradient(energy: Energy, x: Tensor) -> tuple[Tensor, Tensor]:
    """E(x), shape (chains,), and its gradient in x, shape of x. Both are detached; no other gradient is computed."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        e = energy(x)
        (gradient,) = torch.autograd.grad(e.sum(), x)
    return e.detach(), gradient


def walk(kernel: Kernel, x: Tensor, n_steps: int, generator: Generator) -> Iterator[tuple[Tensor, Any]]:
    """Yield (positions, info) after each of ``n_steps`` steps from ``x``. Positions are never written to again."""
    state = kernel.init(x)
    for _ in range(n_steps):
        state, info = kernel.step(state, generator)
        yield state.position, info


def run(kernel: Kernel, x: Tensor, n_steps: int, generator: Generator) -> tuple[Tensor, Any]:
    """Positions after ``n_steps`` >= 1 steps from ``x``, and the last step's info."""
    if n_steps < 1:
        raise ValueError(f"a chain needs at least one step, not {n_steps}")
    state, info = kernel.init(x), None
    for _ in range(n_steps):
        state, info = kernel.step(state, generator)
    return state.position, info
