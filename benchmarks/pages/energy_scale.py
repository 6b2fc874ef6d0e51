"""``python -m benchmarks.pages.energy_scale PICTURE.png``: where regularisation holds energies of samples, by how far chains go.

Chains start at noise, at a squared distance d² of real images. N steps of size a cross it where the energy falls by about
d²/(aN). α(E⁺² + E⁻²) holds energies near ±1/2α, so 2α·d²/(aN) should be no more than about 1. Beyond, samples stop at
E⁻ = 1/2α, where the loss has no slope, unless only those below zero are penalised.
"""

import argparse
import math
from pathlib import Path
from statistics import fmean

import torch

import studies
from models.data import dataset as datasets
from models.ebm import training
from models.ebm.config import Config
from models.env import Env
from models.events import Curve, Diverged, Scalars
from models.parts.settings import Penalised
from models.parts.training import energy_divergence
from orchestrator import files
from orchestrator.figures.canvas import png
from orchestrator.figures.events import curve
from samplers import starts

ALPHA, CHAIN_STEPS = 0.1, 20
REACH = 8.0  # step size × clip × steps, the same in all, in units of a pixel's value
LAST = 10  # reports, over which an energy is averaged
ARMS: tuple[tuple[float, Penalised], ...] = ((10.0, "all"), (2.0, "all"), (2.0, "below_zero"))


def settings(base: Config, step_size: float, penalised: Penalised, updates: int) -> Config:
    """A training from noise with steps of ``step_size``."""
    changes = {
        "start": "noise",
        "n_steps": CHAIN_STEPS,
        "step_size": step_size,
        "grad_clip": REACH / (CHAIN_STEPS * step_size),
        "energy_regularisation": ALPHA,
        "penalised_samples": penalised,
        "learning_rate": 1e-3,
        "evaluations": 1,
    }
    config = Config.model_validate(base.model_dump() | changes)
    return config.model_copy(update={"network_evaluations": int(updates * config.update_cost)})


def squared_distance(data: datasets.Data) -> float:
    """Mean squared distance of uniform noise from a real image."""
    real = data.validation.floats(torch.arange(min(1_000, len(data.validation))))
    noise = starts.uniform(len(real), data.shape, (-1.0, 1.0), torch.Generator().manual_seed(0))
    return float((real - noise).flatten(1).square().sum(1).mean())


def sample_energies(config: Config, env: Env) -> dict[int, float]:
    """E⁻ by update, as a mean of the last reports: it swings from one update to the next."""
    reports: list[Scalars] = []
    try:
        for event in training.train(config, env):
            if isinstance(event, Scalars) and "energy/samples" in event.values:
                reports.append(event)
    except Diverged as reason:
        print(f"  ended: {reason}")
    energies = [report.values["energy/samples"] for report in reports]
    means = [fmean(energies[max(0, i - LAST + 1) : i + 1]) for i in range(len(energies))]
    print(f"  at the end E⁺ {reports[-1].values['energy/data']:.2f}, E⁻ {means[-1]:.2f}")
    return {report.step: mean for report, mean in zip(reports, means, strict=True)}


def main() -> None:
    """Train the arms, print what they reach, draw their energies."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages.energy_scale", description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--data-folder", type=Path, default=Path("data"))
    parser.add_argument("--updates", type=int, default=200)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    energy_divergence.PINNED_GAP = -math.inf  # trainings go on where they would be ended as pinned
    env = Env(arguments.data, seed=0, data_folder=arguments.data_folder)
    data = datasets.load(env.data, env.data_folder)
    distance, base = squared_distance(data), studies.load("ebm").base(data.shape)
    print(f"d² = {distance:.0f}, α = {ALPHA}, N = {CHAIN_STEPS}; 2α·d²/(aN) and the samples that are penalised:")
    lines = dict[str, dict[int, float]]()
    for step_size, penalised in ARMS:
        ratio = 2 * ALPHA * distance / (step_size * CHAIN_STEPS)
        name = f"{ratio:.2g}, {penalised}"
        print(name)
        lines[name] = sample_energies(settings(base, step_size, penalised, arguments.updates), env)
    steps = sorted({step for line in lines.values() for step in line})
    shown = {name: [line.get(step, math.nan) for step in steps] for name, line in lines.items()}
    shown["1/2α"] = [1 / (2 * ALPHA)] * len(steps)
    key, x = "E⁻, by 2α·d²/(aN) and the samples penalised,", [*map(float, steps)]
    picture = curve(Curve(steps[-1], key, x, shown, "update", "mean energy of samples, E⁻"))
    files.write_output(arguments.picture, png(picture))


if __name__ == "__main__":
    main()
