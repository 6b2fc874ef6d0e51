"""FID is the Fréchet distance of two Gaussians, from samples: how many does it take?

Of N(0, I) and N(m, s²I) in k dimensions it is |m|² + k(s − 1)² (Dowson and Landau 1982). From n samples it comes out larger.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from benchmarks._figure import Figure
from models.parts.evaluation import metrics
from models.parts.evaluation.judge import N_FEATURES
from orchestrator import files
from orchestrator.figures.canvas import LINES, blank, png

SEEDS, COUNTS = 3, (100, 200, 500, 1_000, 2_000, 5_000, 10_000)
SHIFT, SCALE = 1.0, 1.1  # |m| and s of the other Gaussian
TARGET = 0.1  # relative error of the difference to one Gaussian against itself


def exact(shift: float, scale: float) -> float:
    """The closed form, in as many dimensions as the judge has features."""
    return shift**2 + N_FEATURES * (scale - 1) ** 2


def estimates(shift: float, scale: float, counts: tuple[int, ...]) -> Tensor:
    """FID of so many samples each, (seeds, counts)."""
    values = torch.empty(SEEDS, len(counts))
    for seed in range(SEEDS):
        generator = torch.Generator().manual_seed(seed)
        for i, n in enumerate(counts):
            reference, samples = torch.randn(2, n, N_FEATURES, generator=generator)
            values[seed, i] = metrics.fid(reference, samples * scale + shift / math.sqrt(N_FEATURES))
    return values


def measure(quick: bool, folder: Path) -> Iterator[Figure]:
    """Two Gaussians, and one against itself, by the number of samples."""
    counts = COUNTS[:4] if quick else COUNTS
    known = exact(SHIFT, SCALE)
    lines = {"two Gaussians": estimates(SHIFT, SCALE, counts), "one against itself": estimates(0, 1, counts)}
    same, other = lines["one against itself"].mean(0), lines["two Gaussians"][:, -1]
    yield Figure(f"FID of {counts[-1]:,} samples of each of two Gaussians", f"{other.mean():.3f}, exact {known:.3f}")
    error = float(((other - same[-1]) / known - 1).abs().max())
    text = f"{other.mean() - same[-1]:.3f}, off by {error:.1%} at most"
    yield Figure("the same, less that of one against itself", text, f"within {TARGET:.0%}", error <= TARGET)
    for n in (200, 1_000, counts[-1]):
        yield Figure(f"FID of {n:,} samples of one Gaussian against as many others", f"{same[counts.index(n)]:.3f}")
    files.write_output(folder / "theory_fid.png", draw(counts, lines, known))


def draw(counts: tuple[int, ...], lines: Mapping[str, Tensor], known: float) -> bytes:
    """FID over n, with the closed form."""
    figure = blank(7, 4, f"FID in {N_FEATURES} features, by the number of images")
    axes = figure.add_subplot(xlabel="images on either side", ylabel="FID", xscale="log", yscale="log")
    for color, (name, values) in zip(LINES, lines.items(), strict=False):
        axes.plot(counts, values.mean(0), "o-", markersize=4, color=color, label=name)
        axes.fill_between(counts, values.amin(0), values.amax(0), color=color, alpha=0.2, linewidth=0)
    axes.axhline(known, color=LINES[0], linestyle="--", linewidth=1, label="two Gaussians, exact")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
    return png(figure)
