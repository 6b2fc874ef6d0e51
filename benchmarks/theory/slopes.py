"""Why minimax starves its generator: the gradients of three losses, by what D says, and while a critic learns.

Goodfellow et al. 2014, section 3; Arjovsky and Bottou 2017, arXiv:1701.04862, theorem 2.4; Arjovsky et al. 2017.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from benchmarks._figure import Figure
from benchmarks.theory.critics import Critics, train
from benchmarks.theory.densities import GRID, WIDTH, Mixture
from models.gan import losses
from models.gan.config import Config, Loss
from orchestrator import files
from orchestrator.figures.canvas import LINES, blank, png

LOSSES: Mapping[Loss, str] = {"minimax": "minimax", "bce": "non-saturating", "wgan_gp": "WGAN"}
SHIFT, DEVIATION = 3.0, 0.5  # the generator draws SHIFT + DEVIATION·z, the real numbers are DEVIATION·z
REAL, GENERATED = Mixture(((1.0, 0.0, DEVIATION),)), Mixture(((1.0, SHIFT, DEVIATION),))
SEEDS, BATCH, UPDATES, DRAWN = 3, 512, 1_000, 10_000
Lines = Mapping[Loss, Mapping[int, Tensor]]


def of_values(loss: Loss, values: Tensor) -> Tensor:
    """|∂L/∂v| for each critic's value v alone."""
    v = values.clone().requires_grad_()
    total = losses.generator_loss(Config(loss=loss), v) * len(v)  # it is a mean
    total.backward()  # type: ignore[no-untyped-call]
    assert v.grad is not None
    return v.grad.abs()


def of_shift(loss: Loss, critics: Critics, numbers: Tensor) -> Tensor:
    """dL/d(shift) of each replicate, whose ``numbers`` (replicates, n) move with the shift; above 0: towards the real ones."""
    x = numbers.clone().requires_grad_()
    values = critics(x)
    total = sum(losses.generator_loss(Config(loss=loss), row) for row in values)
    assert isinstance(total, Tensor)
    (slopes,) = torch.autograd.grad(total, x)
    return slopes.sum(1)


def exact(loss: Loss) -> float:
    """The same for the best critic: log p/q has slope −SHIFT/DEVIATION², and D = p/(p + q); a 1-Lipschitz one has slope −1."""
    if loss == "wgan_gp":
        return 1.0
    p, q = REAL.density(GRID), GENERATED.density(GRID)
    best = p / (p + q)
    share = best if loss == "minimax" else 1 - best
    return float((q * share)[q > 0].nan_to_num().sum() * WIDTH) * SHIFT / DEVIATION**2


def measure(quick: bool, folder: Path) -> Iterator[Figure]:
    """Both panels; the gradients that are left when the critic has learned."""
    updates = UPDATES // 10 if quick else UPDATES
    moments = {5, 10, 20, 50, 100, 200, 500, 1_000} & set(range(updates + 1))
    shape, generator = (SEEDS, BATCH), torch.Generator().manual_seed(1)
    numbers = GENERATED.sample((SEEDS, DRAWN), generator)
    lines: dict[Loss, dict[int, Tensor]] = {loss: {} for loss in LOSSES}
    taught: tuple[tuple[Loss, tuple[Loss, ...]], ...] = (("bce", ("minimax", "bce")), ("wgan_gp", ("wgan_gp",)))
    for critic_loss, read in taught:
        critics = Critics(SEEDS)
        samplers = (lambda g: REAL.sample(shape, g)), (lambda g: GENERATED.sample(shape, g))
        for update in train(critics, Config(loss=critic_loss), *samplers, updates):
            if update in moments:
                for loss in read:
                    lines[loss][update] = of_shift(loss, critics, numbers)
    for loss, name in LOSSES.items():
        end = lines[loss][updates]
        text = f"{end.mean():.2g} ({end.min():.2g} to {end.max():.2g}), best critic {exact(loss):.2g}"
        yield Figure(f"generator's gradient by a trained critic, {name}", text)
    left = (lines["minimax"][updates] / lines["bce"][updates]).max()
    yield Figure("minimax's gradient, of the non-saturating one", f"{left:.2g} at most", "<= 0.05", bool(left <= 0.05))
    files.write_output(folder / "theory_gradients.png", draw(lines))


def draw(lines: Lines) -> bytes:
    """By what D says of a generated image; and over the updates of the critic, a band for the seeds."""
    figure = blank(11, 4, "The generator's gradient, by its loss")
    left, right = figure.subplots(1, 2)
    share = torch.linspace(0.001, 0.999, 400, dtype=torch.float64)
    for color, (loss, name) in zip(LINES, LOSSES.items(), strict=False):
        left.plot(share, of_values(loss, share.logit()), color=color, label=name)
        values = torch.stack(list(lines[loss].values()))
        x = list(lines[loss])
        right.plot(x, values.mean(1), "o-", markersize=3.5, color=color, label=name)
        right.fill_between(x, values.amin(1), values.amax(1), color=color, alpha=0.2, linewidth=0)
    left.set(xlabel="D(G(z)): how real the critic takes the image for", ylabel="|∂L/∂v|, v the critic's value")
    right.set(xlabel="updates of the critic", ylabel="dL/d(shift)", xscale="log", yscale="log")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=9)
    return png(figure)
