"""Two uniform densities drift apart: the Jensen-Shannon divergence stops at log 2, Wasserstein's distance goes on.

Arjovsky et al. 2017, arXiv:1701.07875, example 1. Of U(0, 1) and U(d, 1 + d): JS = min(d, 1)·log 2 and W₁ = d.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Generator, Tensor

from benchmarks._figure import Figure
from benchmarks.theory.critics import Critics, train
from models.gan.config import Config, Loss
from models.gan.f_divergences import DIVERGENCES
from orchestrator import files
from orchestrator.figures.canvas import LINES, blank, png

SEEDS, BATCH, UPDATES = 3, 256, 600
DISTANCES = torch.linspace(0, 3, 7)
FAR = 1.0  # from here on the supports do not meet
TARGETS = {
    "js": 0.1,
    "w1": 0.03,
}  # in their units; at a distance below 1 the best D has edges, which a network rounds off


def exact(distances: Tensor) -> dict[str, Tensor]:
    """JS in nats, and W₁."""
    return {"js": distances.clamp(max=1) * math.log(2), "w1": distances}


def estimates(updates: int) -> dict[str, Tensor]:
    """The same by trained critics, (seeds, distances): all learn side by side."""
    shifts = DISTANCES.repeat(SEEDS)[:, None]
    shape = (len(shifts), BATCH)

    def real(generator: Generator) -> Tensor:
        return torch.rand(shape, generator=generator)

    def generated(generator: Generator) -> Tensor:
        return shifts + torch.rand(shape, generator=generator)

    critics: dict[Loss, Critics] = {"jensen_shannon": Critics(len(shifts)), "wgan_gp": Critics(len(shifts))}
    for loss, network in critics.items():
        for _ in train(network, Config(loss=loss), real, generated, updates):
            pass
    middles = (torch.arange(4_000) + 0.5) / 4_000
    x = middles.expand(len(shifts), -1)
    with torch.no_grad():
        sides = {loss: (network(x), network(x + shifts)) for loss, network in critics.items()}
    divergence = DIVERGENCES["jensen_shannon"]
    on_real, on_generated = sides["jensen_shannon"]
    js = (divergence.activation(on_real).mean(1) - divergence.conjugate(on_generated).mean(1)) / 2
    on_real, on_generated = sides["wgan_gp"]
    # The penalty lets the critic be a little too steep, the more so the farther: so its value is divided by its slope.
    between = torch.lerp(x, x + shifts, 0.5)
    slope = critics["wgan_gp"].slopes(between).abs().mean(1).clamp_min(1.0)
    w1 = (on_real.mean(1) - on_generated.mean(1)) / slope
    return {"js": js.view(SEEDS, -1), "w1": w1.view(SEEDS, -1)}


def measure(quick: bool, folder: Path) -> Iterator[Figure]:
    """Train, compare, draw."""
    measured, known = estimates(UPDATES // 10 if quick else UPDATES), exact(DISTANCES)
    for name, text in (("js", "JS"), ("w1", "W₁")):
        worst = float((measured[name] - known[name]).abs().max())
        figure, target = f"largest error of {text} over {len(DISTANCES)} distances, three seeds", TARGETS[name]
        yield Figure(figure, f"{worst:.3f}", f"<= {target:g}", worst <= target)
    far = DISTANCES >= FAR
    for name, text in (("js", "JS"), ("w1", "W₁")):
        line = measured[name].mean(0)[far]
        yield Figure(f"{text} from distance 1 to 3", f"{line[0]:.3f} to {line[-1]:.3f}")
    files.write_output(folder / "theory_supports.png", draw(measured, known))


def draw(measured: Mapping[str, Tensor], known: Mapping[str, Tensor]) -> bytes:
    """Both over the distance: exact lines, trained critics as points."""
    figure = blank(7, 4, "Two uniform densities, a distance apart")
    axes = figure.add_subplot(xlabel="distance d of U(0, 1) and U(d, 1 + d)", ylabel="value")
    names = {"js": "Jensen-Shannon divergence (nats)", "w1": "Wasserstein distance W₁"}
    for color, (key, name) in zip(LINES, names.items(), strict=False):
        axes.plot(DISTANCES, known[key], color=color, label=f"{name}, exact")
        for seed, line in enumerate(measured[key]):
            axes.plot(
                DISTANCES, line, "o", markersize=4, color=color, label="by trained critics" if seed == 0 else None
            )
    axes.axvline(FAR, color=LINES[6], linewidth=1, linestyle=":")
    axes.text(FAR + 0.04, 0.1, "from here on the supports do not meet", fontsize=9)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
    return png(figure)
