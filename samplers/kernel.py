"""What every sampler is: a kernel of two pure functions, and the loop that runs it."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Generator, Tensor

Energy = Callable[[Tensor], Tensor]
"""(chains, *shape) -> (chains,), unnormalised: exp(-E) is the density at temperature 1. Lower is likelier."""

Value = TypeVar("Value", float, Tensor, float | Tensor)

Parameter = float | Tensor | Callable[[int], float | Tensor]
"""One number, or one for each chain as a tensor (chains,) or (chains, 1, …); or a schedule that gives either."""


class Kernel(NamedTuple):
    """One sampling algorithm with its parameters bound.

    ``init`` turns positions (chains, *shape) into a state; ``step`` advances a state once and returns the new state
    beside diagnostics. A state has ``position``; an info has ``energy`` and ``gradient``, those of the position which the
    step left, the gradient after clipping. Neither changes the state that it is given.

    ``evaluations`` is what a step costs: how often the energy and its gradient are evaluated for each chain. Where a
    state holds them for its position, ``init`` has evaluated them once as well. Kernels are compared fairly at equal
    evaluations, not at equal steps.
    """

    init: Callable[[Tensor], Any]
    step: Callable[[Any, Generator], tuple[Any, Any]]
    evaluations: int = 1


class State(NamedTuple):
    """Where chains are that remember nothing else."""

    position: Tensor  # (chains, *shape)
    step: int  # steps taken so far: the index at which schedules are read


class Info(NamedTuple):
    """What a step saw at the position that it left."""

    energy: Tensor  # (chains,)
    gradient: Tensor  # (chains, *shape), after clipping


def value_at(value: Parameter, step: int) -> float | Tensor:
    """The value at ``step`` of what may be a schedule."""
    return value(step) if callable(value) else value


def per_chain(value: Value, x: Tensor) -> Value:
    """What multiplies positions shaped like ``x``: a number as it is, a value for each chain as (chains, 1, …)."""
    return value.reshape(-1, *[1] * (x.dim() - 1)) if isinstance(value, Tensor) else value


def per_chain_flat(value: Value) -> Value:
    """What multiplies energies: a number as it is, a value for each chain as (chains,)."""
    return value.flatten() if isinstance(value, Tensor) else value


def standard_normal(x: Tensor, generator: Generator) -> Tensor:
    """Independent N(0, 1), of the shape, kind and device of ``x``."""
    return torch.empty_like(x).normal_(generator=generator)


def energy_and_gradient(energy: Energy, x: Tensor, clip: float | None = None) -> tuple[Tensor, Tensor]:
    """E(x), shape (chains,), and its gradient in x, shape of x, each element cut to ±``clip``.

    Both are detached; no other gradient is computed.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        e = energy(x)
        (gradient,) = torch.autograd.grad(e.sum(), x)
    # The cut is not in place: a linear energy gives an expanded view.
    return e.detach(), gradient if clip is None else gradient.clamp(-clip, clip)


def iterate(kernel: Kernel, x: Tensor, n_steps: int, generator: Generator) -> Iterator[tuple[Tensor, Any]]:
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
