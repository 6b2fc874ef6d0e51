"""Our Langevin chains against torchebm's and ebmkit's, and what a step of our other samplers costs beside its evaluations.

The same network, chains, steps and noise for all; that all end at the same places is seen before anything is timed. One
thread and processor time, taking turns, as in benchmarks/langevin.py. A library that is not installed is left out, with a
word: ``pip install -e '.[reference]'`` brings both.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Generator, Tensor, nn

from benchmarks._figure import Figure
from benchmarks.langevin import BOUNDS, SIZES, Loop, compare
from models import ebm
from samplers import hmc, langevin, mala, preconditioned, proximal, starts, tempering, underdamped
from samplers.kernel import Kernel, run
from studies.ebm import base

STEP_SIZE, NOISE = 10.0, 0.005


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
        net, lambda k: torch.full((64, 1, 1, 1), STEP_SIZE), lambda k: torch.full((64, 1, 1, 1), NOISE), 0.01, BOUNDS
    ),
    "mala": lambda net: mala.build(net, 1e-4, bounds=BOUNDS),
    "hmc, 5 leapfrog steps": lambda net: hmc.build(net, 1e-2, 5, bounds=BOUNDS),
    "underdamped": lambda net: underdamped.build(net, 1e-2, bounds=BOUNDS),
    "preconditioned": lambda net: preconditioned.build(net, 1e-4, torch.ones(()), bounds=BOUNDS),
    "tempering, 4 replicas": lambda net: tempering.build(lambda t: mala.build(net, 1e-4, t), (1, 2, 4, 8)),
    "proximal": lambda net: proximal.build(net, 1.0, 0.01, bounds=BOUNDS),
}


def measure(quick: bool = False) -> Iterator[Figure]:
    """For both sizes of images: ours against theirs, and the time of an evaluation in our other samplers."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for side, (pairs, n_steps) in SIZES.items():
            yield from _measure(side, pairs // 10 if quick else pairs, n_steps)
    finally:
        torch.set_num_threads(before)


def _measure(side: int, pairs: int, n_steps: int) -> Iterator[Figure]:
    config = base((1, side, side))
    torch.manual_seed(0)
    net = ebm.network(config, (1, side, side)).requires_grad_(False)
    x = starts.uniform(64, (1, side, side), BOUNDS, Generator().manual_seed(0))
    mine = ours(langevin.build(net, STEP_SIZE, NOISE, bounds=BOUNDS))
    for name, build in OTHERS.items():
        title = f"Langevin step {side}×{side}, {config.blocks} blocks of {config.width}, 64 chains: ours / {name}'s"
        try:
            theirs = build(net)
        except ImportError:
            yield Figure(title, "not measured: pip install -e '.[reference]'")
            continue
        one, other = mine(x, 5, Generator().manual_seed(1)), theirs(x, 5, Generator().manual_seed(1))
        torch.testing.assert_close(one, other, msg=f"{name} does something else")
        (low, share, high), step = compare(mine, theirs, x, pairs, n_steps)
        measured = f"{share:.3f} (quartiles {low:.2f}, {high:.2f}; {step * 1e3:.2f} ms)"
        yield Figure(title, measured, "< 1", share < 1)

    for name, kernel_of in KERNELS.items():
        kernel = kernel_of(net)
        (low, share, high), _ = compare(ours(kernel), mine, x, pairs // 3, n_steps)
        per_step = f", {kernel.evaluations} evaluations a step" if kernel.evaluations > 1 else ""
        yield Figure(
            f"  {name}: an evaluation / a plain Langevin step",
            f"{share / kernel.evaluations:.3f} (quartiles {low / kernel.evaluations:.2f}, "
            f"{high / kernel.evaluations:.2f}){per_step}",
        )
