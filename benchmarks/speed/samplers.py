"""Our Langevin chains against torchebm's and ebmkit's, and what a step of our other samplers costs beside its evaluations.

The same network, chains, steps and noise for all; that all end at the same places is seen before anything is timed. One
thread and processor time, taking turns, as in langevin.py. Where the network is small, what is outside of it shows; where it
is large, all libraries must come out equal. A library that is not installed is left out, with a word:
``pip install -e '.[reference]'`` brings both.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Generator, Tensor, nn

from benchmarks._figure import Figure
from benchmarks.speed.langevin import BOUNDS, SIZES, TARGET, Loop, compare
from models.ebm import networks
from samplers import hmc, langevin, mala, preconditioned, proximal, starts, tempering, underdamped
from samplers.kernel import Kernel, run
from studies.ebm import base

STEP_SIZE, NOISE, CHAINS = 10.0, 0.005, 64


def ours(kernel: Kernel) -> Loop:
    """A run of one of our kernels."""
    return lambda x, n_steps, generator: run(kernel, x, n_steps, generator)[0]


def torchebms(net: nn.Module) -> Loop:
    """torchebm's Langevin dynamics, whose noise_scale is √T."""
    from torchebm.core import BaseModel
    from torchebm.samplers import LangevinDynamics

    class Model(BaseModel):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            energy: Tensor = self.net(x)
            return energy

    sampler = LangevinDynamics(Model(), STEP_SIZE, NOISE / math.sqrt(2 * STEP_SIZE), clamp=BOUNDS)

    def loop(x: Tensor, n_steps: int, generator: Generator) -> Tensor:
        found: Tensor = sampler.sample(x=x, n_steps=n_steps, generator=generator)
        return found

    return loop


def ebmkits(net: nn.Module) -> Loop:
    """ebmkit's Langevin dynamics, which draws from the global generator."""
    from ebm.samplers import LangevinDynamics

    sampler = LangevinDynamics(STEP_SIZE, noise_scale=NOISE, clamp=BOUNDS)

    def loop(x: Tensor, n_steps: int, generator: Generator) -> Tensor:
        torch.manual_seed(generator.initial_seed())
        found: Tensor = sampler.sample(net, x, steps=n_steps)
        return found

    return loop


OTHERS: dict[str, Callable[[nn.Module], Loop]] = {"torchebm": torchebms, "ebmkit": ebmkits}

KERNELS: dict[str, Callable[[Any], Kernel]] = {
    "langevin, a setting for each chain": lambda net: langevin.build(
        net,
        lambda k: torch.full((CHAINS, 1, 1, 1), STEP_SIZE),
        lambda k: torch.full((CHAINS, 1, 1, 1), NOISE),
        0.01,
        BOUNDS,
    ),
    "mala": lambda net: mala.build(net, 1e-4, bounds=BOUNDS),
    "hmc, 5 leapfrog steps": lambda net: hmc.build(net, 1e-2, 5, bounds=BOUNDS),
    "underdamped": lambda net: underdamped.build(net, 1e-2, bounds=BOUNDS),
    "preconditioned": lambda net: preconditioned.build(net, 1e-4, torch.ones(()), bounds=BOUNDS),
    "tempering, 4 replicas": lambda net: tempering.build(lambda t: mala.build(net, 1e-4, t), (1, 2, 4, 8)),
    "proximal": lambda net: proximal.build(net, 1.0, 0.01, bounds=BOUNDS),
}


def measure(quick: bool = False) -> Iterator[Figure]:
    """Ours against theirs on three networks, and the time of an evaluation in our other samplers."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield from _points(30 if quick else 300)
        for side, (pairs, n_steps) in SIZES.items():
            config = base((1, side, side))
            torch.manual_seed(0)
            net = networks.network(config, (1, side, side)).requires_grad_(False)
            x = starts.uniform(CHAINS, (1, side, side), BOUNDS, Generator().manual_seed(0))
            title = f"Langevin step {side}×{side}, {config.blocks} blocks of {config.width}, {CHAINS} chains"
            pairs = pairs // 10 if quick else pairs
            yield from _against(title, net, x, pairs, n_steps, TARGET)
            if n_steps > 1:  # where a network takes far longer than a sampler, there is nothing to see
                yield from _evaluations(net, x, pairs // 3, n_steps)
    finally:
        torch.set_num_threads(before)


def _points(pairs: int) -> Iterator[Figure]:
    """Points of the plane and a small network, as libraries show themselves."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1), nn.Flatten(0))
    x = starts.uniform(256, (2,), BOUNDS, Generator().manual_seed(0))
    yield from _against(
        "Langevin step 2 numbers, 2 layers of 64, 256 chains", net.requires_grad_(False), x, pairs, 50, 1.0
    )


def _against(name: str, net: nn.Module, x: Tensor, pairs: int, n_steps: int, target: float) -> Iterator[Figure]:
    mine = ours(langevin.build(net, STEP_SIZE, NOISE, bounds=BOUNDS))
    for library, build in OTHERS.items():
        title = f"{name}: ours / {library}'s"
        try:
            theirs = build(net)
        except ImportError:
            yield Figure(title, "not measured: pip install -e '.[reference]'")
            continue
        one, other = mine(x, 5, Generator().manual_seed(1)), theirs(x, 5, Generator().manual_seed(1))
        torch.testing.assert_close(one, other, msg=f"{library} does something else")
        (low, share, high), step = compare(mine, theirs, x, pairs, n_steps)
        measured = f"{share:.3f} (quartiles {low:.2f}, {high:.2f}; {step * 1e3:.2f} ms)"
        yield Figure(title, measured, f"<= {target}", share <= target)


def _evaluations(net: nn.Module, x: Tensor, pairs: int, n_steps: int) -> Iterator[Figure]:
    plain = ours(langevin.build(net, STEP_SIZE, NOISE, bounds=BOUNDS))
    for name, kernel_of in KERNELS.items():
        rows = 0

        def counting(y: Tensor) -> Tensor:
            nonlocal rows
            rows += len(y)
            energy: Tensor = net(y)
            return energy

        ours(kernel_of(counting))(x, n_steps, Generator().manual_seed(1))
        evaluations = rows / len(x) / n_steps  # of a step, with its share of the one that begins a chain
        quartiles, _ = compare(ours(kernel_of(net)), plain, x, pairs, n_steps)
        low, share, high = (ratio / evaluations for ratio in quartiles)
        yield Figure(
            f"  {name}: an evaluation / a plain step",
            f"{share:.3f} (quartiles {low:.2f}, {high:.2f}; {evaluations:g} evaluations a step)",
        )
