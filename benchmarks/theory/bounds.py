"""Each f-GAN loss is a lower bound of its divergence (Nowozin et al. 2016): does a trained critic reach it?"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from benchmarks._figure import Figure
from benchmarks.theory.critics import Critics, train
from benchmarks.theory.densities import GENERATED, GRID, REAL, WIDTH
from models.gan.config import Config
from models.gan.f_divergences import DIVERGENCES, Divergence
from orchestrator import files
from orchestrator.figures.canvas import LINES, blank, png

SEEDS, BATCH, UPDATES, REPORTS = 3, 512, 1_500, 30
TARGET = 0.95  # of the exact divergence
NAMES = {
    "kl": "KL(p‖q)",
    "reverse_kl": "KL(q‖p)",
    "jensen_shannon": "2 JS(p, q)",
    "pearson": "Pearson χ²",
    "hellinger": "squared Hellinger",
}


def bounds(divergence: Divergence, critics: Critics) -> Tensor:
    """What each critic proves, (replicates,): the two means are integrals, so no sample is lucky."""
    p, q = REAL.density(GRID), GENERATED.density(GRID)
    with torch.no_grad():
        values = critics(GRID.float().expand(len(critics.weights[0]), -1)).double()
    return ((p * divergence.activation(values)).sum(1) - (q * divergence.conjugate(values)).sum(1)) * WIDTH


def measure(quick: bool, folder: Path) -> Iterator[Figure]:
    """Train from three seeds by each loss, compare with the integral, draw."""
    updates, shape = UPDATES // 10 if quick else UPDATES, (SEEDS, BATCH)
    lines = dict[str, dict[int, Tensor]]()
    for name, divergence in DIVERGENCES.items():
        exact = float(divergence.exact(REAL.density(GRID), GENERATED.density(GRID), WIDTH))
        critics, reached = Critics(SEEDS), dict[int, Tensor]()
        samplers = (lambda g: REAL.sample(shape, g)), (lambda g: GENERATED.sample(shape, g))
        for update in train(critics, Config.model_validate({"loss": name}), *samplers, updates):
            if update % (updates // REPORTS) == 0:
                reached[update] = bounds(divergence, critics) / exact
        lines[name], end = reached, reached[updates] * exact
        measured = f"{end.mean():.4f} of {exact:.4f} ({end.mean() / exact:.1%}, least {end.min() / exact:.1%})"
        ok = bool((end >= TARGET * exact).all() and (end <= exact + 1e-6).all())
        yield Figure(f"bound of {NAMES[name]}, three seeds", measured, f">= {TARGET:.0%}, never above", ok)
    files.write_output(folder / "theory_bounds.png", draw(lines))


def draw(lines: Mapping[str, Mapping[int, Tensor]]) -> bytes:
    """Each bound over training, as a share of the exact divergence; the band spans the seeds."""
    figure = blank(7, 4, "What a critic proves of a divergence, of its exact value")
    axes = figure.add_subplot(xlabel="update of the critic", ylabel="bound / exact divergence", ylim=(0, 1.05))
    for color, (name, reached) in zip(LINES, lines.items(), strict=False):
        values = torch.stack(list(reached.values()))
        axes.plot(list(reached), values.mean(1), color=color, label=NAMES[name])
        axes.fill_between(list(reached), values.amin(1), values.amax(1), color=color, alpha=0.2, linewidth=0)
    axes.axhline(1, color=LINES[6], linewidth=1)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9, loc="lower right")
    return png(figure)
