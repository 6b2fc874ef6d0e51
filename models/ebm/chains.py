"""The chains of an energy-based model: a kernel for each choice of sampler, all at the same evaluations of the network.

The settings mean the same for each: a is the step size of plain Langevin dynamics, s its noise, T = s²/2a its temperature.
Where a sampler has another length of step, h = √(2a), one step of which is a Langevin step but for what it remembers.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Generator, Tensor

from models.data import dataset as datasets
from models.ebm.config import BOUNDS, Config
from models.env import Env
from samplers import hmc, langevin, mala, preconditioned, proximal, tempering, underdamped
from samplers.kernel import Energy, Kernel, run
from samplers.schedules import Schedule

LEAPFROG_STEPS = 5  # of a trajectory of HMC
LADDER = (1.0, 10.0, 100.0)  # temperatures of replicas, in units of the chain's own
FLOOR = 0.05  # of a pixel's variance, in units of the mean: a border that is always black can move as well


def chains(
    config: Config, energy: Energy, env: Env, begin: Tensor, n_evaluations: int, generator: Generator
) -> tuple[Tensor, Any]:
    """Ends of chains from ``begin`` that cost ``n_evaluations`` of the network each, and the last step's info."""
    kernel, n_steps = build(config, energy, env, n_evaluations)
    return run(kernel, begin, n_steps, generator)


def build(config: Config, energy: Energy, env: Env, n_evaluations: int) -> tuple[Kernel, int]:
    """The kernel of ``config``, its schedules spread over a chain of ``n_evaluations``, and the steps that those pay for."""
    make, cost = KERNELS[config.sampler]
    n_steps = max(1, n_evaluations // cost)
    kernel = make(config, energy, env, n_steps)
    assert kernel.evaluations == cost
    return kernel, n_steps


def _langevin(config: Config, energy: Energy, env: Env, n_steps: int) -> Kernel:
    step_size, noise = config.schedules(n_steps)
    return langevin.build(energy, step_size, noise, config.clip, config.bounds)


def _preconditioned(config: Config, energy: Energy, env: Env, n_steps: int) -> Kernel:
    variance = _variance(env.data, env.data_folder, env.device)
    step_size, temperature, _ = _physics(config, n_steps)
    return preconditioned.build(energy, step_size, variance, temperature, config.grad_clip, BOUNDS)


def _underdamped(config: Config, energy: Energy, env: Env, n_steps: int) -> Kernel:
    _, temperature, length = _physics(config, n_steps)
    return underdamped.build(
        energy, length, lambda step: config.friction / length(step), temperature, config.grad_clip, BOUNDS
    )


def _mala(config: Config, energy: Energy, env: Env, n_steps: int) -> Kernel:
    step_size, temperature, _ = _physics(config, n_steps)
    return mala.build(energy, step_size, temperature, n_steps // 2, grad_clip=config.grad_clip, bounds=BOUNDS)


def _hmc(config: Config, energy: Energy, env: Env, n_steps: int) -> Kernel:
    _, temperature, length = _physics(config, n_steps)
    return hmc.build(
        energy,
        length,
        LEAPFROG_STEPS,
        temperature,
        jitter=0.2,
        warmup=n_steps // 2,
        grad_clip=config.grad_clip,
        bounds=BOUNDS,
    )


def _tempering(config: Config, energy: Energy, env: Env, n_steps: int) -> Kernel:
    step_size, temperature, _ = _physics(config, n_steps)
    coldest = temperature(n_steps - 1)  # a ladder stands still: that of the end of the chain

    def transition(temperatures: Tensor) -> Kernel:
        return mala.build(energy, step_size, temperatures, n_steps // 2, grad_clip=config.grad_clip, bounds=BOUNDS)

    return tempering.build(transition, [factor * coldest for factor in LADDER])


def _proximal(config: Config, energy: Energy, env: Env, n_steps: int) -> Kernel:
    step_size, noise = config.schedules(n_steps)
    return proximal.build(energy, step_size, config.grad_clip or math.inf, noise, bounds=BOUNDS)


Make = Callable[[Config, Energy, Env, int], Kernel]
KERNELS: dict[str, tuple[Make, int]] = {  # with the evaluations that a step costs
    "langevin": (_langevin, 1),
    "preconditioned": (_preconditioned, 1),
    "underdamped": (_underdamped, 1),
    "mala": (_mala, 1),
    "hmc": (_hmc, LEAPFROG_STEPS),
    "tempering": (_tempering, len(LADDER)),
    "proximal": (_proximal, 1),
}


def _physics(config: Config, n_steps: int) -> tuple[Schedule, Schedule, Schedule]:
    """Step size a, temperature s²/2a and length √(2a) at each step."""
    step_size, noise = config.schedules(n_steps)
    return (
        step_size,
        lambda step: noise(step) ** 2 / (2 * step_size(step)),
        lambda step: math.sqrt(2 * step_size(step)),
    )


@lru_cache(maxsize=2)
def _variance(data: str, folder: Path, device: str) -> Tensor:
    """Variance of each pixel over the training images, in units of their mean: (channels, height, width)."""
    images = datasets.load(data, folder).train.floats()
    variance = images.var(0)
    return (variance / variance.mean()).clamp_min(FLOOR).to(device)
