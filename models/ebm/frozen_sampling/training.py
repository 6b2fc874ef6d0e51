"""Chains from noise by a network that is not trained any more. Nothing is trained: a trial runs its chains."""

from collections.abc import Generator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from models.ebm.chains import build
from models.ebm.config import BOUNDS
from models.ebm.frozen_sampling.config import Config
from models.ebm.frozen_sampling.evaluation import SHOWN, Result, chain_config
from models.ebm.frozen_sampling.trained_network import compute_together, load, requested_energy
from models.env import Env
from models.events import Checkpoint, Diverged, Event, Images, Progress
from samplers import starts

LARGEST_BATCH = {"cpu": 512}  # chains in a call, by kind of device; more would be no faster there
LARGEST_BATCH_ELSEWHERE = 8192


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, Any, Result]:
    """Run the chains; nothing is trained. Raises Diverged."""
    trained = load(config.model, env.data, env.data_folder, env.cache_folder, env.device, config.samples)
    data, generator = trained.data, env.generator("chains")
    begin = starts.uniform(config.samples, data.shape, BOUNDS, generator)
    kernel, n_steps = build(chain_config(config, trained.config), requested_energy, env, config.n_steps)
    largest_batch = LARGEST_BATCH.get(torch.device(env.device).type, LARGEST_BATCH_ELSEWHERE)
    state = yield from compute_together(trained, largest_batch, partial(kernel.init, begin))
    energies: list[Tensor] = []
    if resume is None:
        yield data.used
        yield trained.facts
        yield Images(0, "samples/fresh", begin[:SHOWN])
    else:
        state = state._replace(position=resume["position"].to(env.device), step=resume["step"])
        generator.set_state(resume["chance"].cpu())
        energies = list(resume["energies"])
    for step in range(state.step, n_steps):
        state, info = yield from compute_together(trained, largest_batch, partial(kernel.step, state, generator))
        energies.append(info.energy.mean())
        yield Progress("chain", step + 1, n_steps)
        if set(state._fields) == {"position", "step"}:  # samplers that remember more begin anew, and end the same
            yield Checkpoint(step + 1, partial(_state, state, generator, energies))
    means = [float(energy) for energy in energies]
    refuse_non_finite(means, state.position)
    return Result(config, trained, n_steps * kernel.evaluations, begin, state.position, means)


def refuse_non_finite(energies: list[float], positions: Tensor) -> None:
    """Raises Diverged, with the first step whose mean energy is not finite, or the last where only positions are not."""
    lost_steps = [step for step, energy in enumerate(energies) if not torch.tensor(energy).isfinite()]
    if lost_steps or not bool(positions.isfinite().all()):
        step = lost_steps[0] if lost_steps else len(energies)
        raise Diverged("non_finite", step, "energies or positions are not finite")


def _state(state: Any, generator: torch.Generator, energies: list[Tensor]) -> dict[str, Any]:
    return {
        "position": state.position,
        "step": state.step,
        "chance": generator.get_state(),
        "energies": torch.stack([energy.cpu() for energy in energies]),
    }
