"""How far chains can be trusted: do they still descend, did they find the same distribution, do they move?"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from models.events import Curve, Images
from models.parts.training.reporting import finite
from samplers import diagnostics
from samplers.kernel import Kernel, iterate

LONGEST = 16  # times the length of training's chains: as far as their energy is followed at least
PICTURED = 10  # chains that are shown on their way


class LongChains(NamedTuple):
    """Chains that ran far beyond the length of training's."""

    end: Tensor  # (chains, *shape)
    energies: Tensor  # on the way, (chains, steps)
    positions: Tensor  # of the first PICTURED chains at the start and after 1, 2, 4, 8 … steps: (chains, times, *shape)
    trust: dict[str, float]  # see ``trust``


def run_long_chains(kernel: Kernel, begin: Tensor, n_steps: int, trained: int, generator: Generator) -> LongChains:
    """Chains of ``n_steps`` from ``begin``, where those of training have ``trained`` steps."""
    end, infos, positions = begin, [], [begin[:PICTURED]]
    for index, (position, info) in enumerate(iterate(kernel, begin, n_steps, generator), 1):
        end = position
        infos.append(info)
        if index & (index - 1) == 0:  # a power of two
            positions.append(position[:PICTURED])
    energies = torch.stack([info.energy for info in infos], 1)
    return LongChains(end, energies, torch.stack(positions, 1), trust(energies, infos, trained))


def along_chain(step: int, chains: LongChains) -> Images:
    """A row of images for each of the first chains: its start, then after 1, 2, 4, 8 … steps."""
    times = chains.positions.shape[1]
    return Images(step, "samples/along_chain", chains.positions.flatten(0, 1), times)


def energy_curve(step: int, energies: Sequence[float], real_energy: float, x_label: str, y_label: str) -> Curve:
    """Mean energies of fresh chains, step by step, beside that of real images."""
    axis = [float(k) for k in range(len(energies))]
    lines = {"fresh chains": energies, "real images": [real_energy] * len(energies)}
    return Curve(step, "chain/energy", axis, lines, x_label, y_label)


def trust(energies: Tensor, infos: Sequence[Any], trained: int) -> dict[str, float]:
    """Of energies (chains, steps) and the steps' infos: ``chain/NAME``, without what cannot be said.

    ``drift_4x`` is the slope of the energy up to 4 times the ``trained`` steps; split R̂ and the effective sample size are
    those of the second half.
    """
    values = {
        f"chain/drift_{times}x": diagnostics.energy_drift(energies[:, times * trained // 2 : times * trained]).slope
        for times in (1, 4, LONGEST)
        if times * trained >= 4
    }
    second_half = energies[:, energies.shape[1] // 2 :]
    if second_half.shape[1] >= 4:
        values["chain/rhat"] = float(diagnostics.split_rhat(second_half))
        values["chain/effective_samples"] = float(diagnostics.effective_sample_size(second_half))
    if hasattr(infos[0], "acceptance"):
        values["chain/acceptance"] = diagnostics.acceptance(torch.stack([info.acceptance for info in infos], 1)).mean
    return finite(values)
