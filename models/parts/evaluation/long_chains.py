"""How far chains can be trusted: do they still descend, did they find the same distribution, do they move?"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from models.events import Curve
from models.parts.training.reporting import finite
from samplers import diagnostics
from samplers.kernel import Kernel, iterate

LONGEST = 16  # times the length of training's chains: as far as their energy is followed at least


def run_long_chains(
    kernel: Kernel, begin: Tensor, n_steps: int, trained: int, generator: Generator
) -> tuple[Tensor, Tensor, dict[str, float]]:
    """Where chains from ``begin`` end, (chains, *shape), their energies on the way, (chains, steps), and ``trust`` of them."""
    end, infos = begin, []
    for position, info in iterate(kernel, begin, n_steps, generator):
        end = position
        infos.append(info)
    energies = torch.stack([info.energy for info in infos], 1)
    return end, energies, trust(energies, infos, trained)


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
