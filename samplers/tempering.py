"""Parallel tempering: replicas of each chain at a ladder of temperatures, which swap places.

Hot replicas cross what the cold one cannot, and swaps carry them down. The joint law is the product of exp(−E/T_k); two
neighbours of the ladder swap with min(1, exp((1/T_k − 1/T_{k+1}) (E_k − E_{k+1}))), which keeps it (Geyer 1991; Hukushima and
Nemoto 1996). Even and odd pairs take turns, which carries states along the ladder faster than chance would (Syed et al.
2022, arXiv:1905.02939).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from samplers.kernel import Kernel
from samplers.metropolis import accept


class State(NamedTuple):
    """Where the coldest replicas are, and all of them."""

    position: Tensor  # (chains, *shape), the coldest replica of each chain
    replicas: Any  # the inner kernel's state: (chains · temperatures, …), the replicas of a chain side by side
    step: int  # steps taken so far


class Info(NamedTuple):
    """What a step saw at the position that it left, and how the swaps went."""

    energy: Tensor  # (chains,), of the coldest replicas
    gradient: Tensor  # (chains, *shape), of the coldest replicas, after clipping
    replicas: Any  # the inner kernel's info, of all replicas
    swaps: (
        Tensor  # (chains, temperatures − 1), the probability of each pair's swap; NaN for pairs whose turn it was not
    )


def build(transition: Callable[[Tensor], Kernel], temperatures: Sequence[float], swap_every: int = 1) -> Kernel:
    """A kernel of replicas at rising ``temperatures``, the first of which is the target's.

    ``transition`` makes the kernel of all replicas from a tensor with the temperature of each, and is asked at every step:
    ``lambda t: mala.build(energy, 0.01, t)``. Its state must have position, energy and gradient, as those of MALA and HMC
    do; these swap, what else it holds stays with its temperature. Exact kernels make an exact one. All replicas share a
    pass through the network, as further chains. Neighbours swap every ``swap_every`` steps.
    """
    n = len(temperatures)
    ordered = all(low < high for low, high in zip(temperatures, temperatures[1:], strict=False))
    if n < 2 or temperatures[0] <= 0 or not ordered:
        raise ValueError(f"tempering needs two or more rising temperatures above 0, not {list(temperatures)}")
    if swap_every < 1:
        raise ValueError(f"swap_every counts steps from 1 on, not {swap_every}")

    def ladder(chains: int, like: Tensor) -> Tensor:
        return torch.as_tensor(temperatures, dtype=like.dtype, device=like.device).repeat(chains)

    def init(x: Tensor) -> State:
        replicas = transition(ladder(len(x), x)).init(x.detach().repeat_interleave(n, 0))
        return State(replicas.position[::n], replicas, 0)

    def step(state: State, generator: Generator) -> tuple[State, Info]:
        chains, energy, gradient = len(state.position), state.replicas.energy[::n], state.replicas.gradient[::n]
        replicas, info = transition(ladder(chains, state.position)).step(state.replicas, generator)
        swaps = torch.full((chains, n - 1), torch.nan, dtype=energy.dtype, device=energy.device)
        turn, rest = divmod(state.step + 1, swap_every)
        if not rest:
            replicas, swaps = swap(replicas, (turn - 1) % 2, swaps, generator)
        return State(replicas.position[::n], replicas, state.step + 1), Info(energy, gradient, info, swaps)

    def swap(replicas: Any, first: int, swaps: Tensor, generator: Generator) -> tuple[Any, Tensor]:
        cold = torch.arange(first, n - 1, 2, device=swaps.device)  # the colder one of each pair whose turn it is
        e = replicas.energy.view(-1, n)
        beta = 1 / ladder(1, e)
        log_ratio = (beta[cold] - beta[cold + 1]) * (e[:, cold] - e[:, cold + 1])
        accepted, probability = accept(log_ratio, generator)
        swaps[:, cold] = probability
        source = torch.arange(n, device=swaps.device).repeat(
            len(e), 1
        )  # which replica comes to each place of the ladder
        source[:, cold] += accepted.long()
        source[:, cold + 1] -= accepted.long()
        source = (source + n * torch.arange(len(e), device=swaps.device)[:, None]).flatten()
        moved = {name: getattr(replicas, name)[source] for name in ("position", "energy", "gradient")}
        return replicas._replace(**moved), swaps

    ladder_kernel = transition(torch.as_tensor(temperatures))
    return Kernel(init, step, evaluations=n * ladder_kernel.evaluations)
