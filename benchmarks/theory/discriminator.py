"""The best discriminator of p and q is D(x) = p(x)/(p(x) + q(x)): is it what training finds?

Goodfellow et al. 2014, arXiv:1406.2661, proposition 1.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from benchmarks._figure import Figure
from benchmarks.theory.critics import Critics, train
from benchmarks.theory.densities import GENERATED, GRID, REAL, WIDTH
from models.gan.config import Config
from orchestrator import files
from orchestrator.figures.canvas import LINES, blank, png

SEEDS, BATCH, UPDATES = 3, 512, 1_500
TARGET = 0.02  # mean of |D − p/(p+q)| over samples of both


def measure(quick: bool, folder: Path) -> Iterator[Figure]:
    """Train from three seeds, compare, draw."""
    critics, shape = Critics(SEEDS), (SEEDS, BATCH)
    updates = UPDATES // 10 if quick else UPDATES
    for _ in train(
        critics, Config(loss="bce"), lambda g: REAL.sample(shape, g), lambda g: GENERATED.sample(shape, g), updates
    ):
        pass
    p, q = REAL.density(GRID), GENERATED.density(GRID)
    best = p / (p + q)
    with torch.no_grad():
        trained = critics(GRID.float().expand(SEEDS, -1)).sigmoid().double()
    errors = ((trained - best).abs() * (p + q) / 2).sum(1) * WIDTH
    files.write_output(folder / "theory_discriminator.png", draw(p, q, best, trained))
    measured = f"{errors.mean():.4f} ({errors.min():.4f} to {errors.max():.4f})"
    target = f"each <= {TARGET:g} after {UPDATES:,} updates"
    yield Figure("mean |D − p/(p+q)| over samples, three seeds", measured, target, bool((errors <= TARGET).all()))


def draw(p: Tensor, q: Tensor, best: Tensor, trained: Tensor) -> bytes:
    """The densities, and below them the best discriminator and the trained ones."""
    figure = blank(7, 5, "The best discriminator of real (p) and generated (q) numbers")
    above, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (1, 2)})
    shown = slice(int(6 / WIDTH), int(18 / WIDTH), 20)  # of the grid, from −6 to 6
    x = GRID[shown]
    above.plot(x, p[shown], color=LINES[0], label="p, real")
    above.plot(x, q[shown], color=LINES[1], label="q, generated")
    above.set_ylabel("density")
    below.plot(x, best[shown], color=LINES[6], linewidth=3, alpha=0.35, label="p / (p + q)")
    for seed, line in enumerate(trained):
        below.plot(x, line[shown], color=LINES[2], linewidth=1, label="trained D, three seeds" if seed == 0 else None)
    below.set(xlabel="x", ylabel="D(x)")
    for axes in (above, below):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=9)
    return png(figure)
