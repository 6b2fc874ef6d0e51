"""Are images of other data stranger to the flow than its own? Several scores, each with its own answer.

A raw likelihood finds simple images likelier than the data: Nalisnick et al. 2019, arXiv:1810.09136. None of the scores is
chosen by how well it does.
"""

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Generator, Tensor

from models.data.dataset import Data
from models.env import Env
from models.events import Curve, Event, Images, Scalars
from models.flow.bits import log_densities, pixels
from models.flow.drawing import drawn, labels_in_turn, standard_noise
from models.flow.networks import Flow
from models.parts.evaluation import likelihood, outliers

IMAGES = 500  # of each kind
SCORES = ("likelihood", "complexity", "ratio", "typicality", "gradient", "latent")
AT_ONCE = 32  # images whose gradients are in memory; that of an exact log-determinant is large
HOT = 1.3  # temperature of samples that are strangers by intention
BINS = 40  # of a histogram
REACH = 0.02  # share of a kind's images that may be beyond a histogram, to either side
WIDEST = 8.0  # spreads of validation images that a histogram reaches from them
UNSAID = 1e30  # the score of what overflows: as strange as can be
SHOWN = 8  # images of each


def strangers(flow: Flow, background: Flow | None, data: Data, env: Env, step: int) -> Iterator[Event]:
    """``ood_auroc_SCORE/NAME`` for each score and each kind of strangers, histograms of scores, and the strangers themselves.

    Among the kinds are the flow's own samples (``own``), and samples at a temperature above 1 (``hot``).
    """
    names = [name for name in SCORES if name != "ratio" or background is not None]
    score = Scores(flow, background, data, env.generator("strangers' cells"))
    noise = standard_noise(IMAGES, flow.shape, env.generator("hot samples"))
    labels = labels_in_turn(flow, IMAGES, env.device)
    own = {
        "own": flow.images(drawn(flow, noise, 1.0, labels)),
        "hot": flow.images(drawn(flow, noise, HOT, labels)),
    }
    by_kind = outliers.scores_by_kind(score, names, data, env, IMAGES, own)
    yield Scalars(step, {f"ood_auroc_{name}/{kind}": value for name, kind, value in outliers.chances(by_kind)})
    for name in names:
        yield histogram(name, {kind: scores[name] for kind, scores in by_kind.items()}, step)
    kinds = {"validation": data.validation.floats(), **own}
    kinds |= outliers.strangers(data, env.data_folder, env.generator("strangers"), IMAGES)
    rows = [images[:SHOWN].cpu() for images in list(kinds.values())]
    yield Images(step, "samples/strangers", torch.cat(rows), columns=SHOWN)


class Scores:
    """Images (n, *shape) -> scores (n,) by name, higher is stranger; the first three in bits per dimension."""

    def __init__(self, flow: Flow, background: Flow | None, data: Data, generator: Generator) -> None:
        self.flow, self.background, self.generator = flow, background, generator
        trained = data.train.floats(torch.arange(min(IMAGES, len(data.train))))
        self.usual = float(log_densities([flow], trained, generator, 1).mean())

    def __call__(self, images: Tensor) -> Mapping[str, Tensor]:
        flow, generator = self.flow, self.generator
        nats, others = self.log_densities(images)
        values = likelihood.strangeness(nats, rounded(flow, images).cpu(), self.usual)
        dimensions, levels = math.prod(flow.shape), math.log2(int(flow.levels))
        values["likelihood"] = values["likelihood"] / (dimensions * math.log(2)) + levels
        values["complexity"] = values["complexity"] / dimensions + levels
        if others is not None:
            values["ratio"] = (others - nats) / (dimensions * math.log(2))
        values |= {"gradient": gradient_norm(flow, images, generator), "latent": latent(flow, images, generator)}
        return {name: torch.nan_to_num(score.double(), UNSAID, UNSAID, -UNSAID) for name, score in values.items()}

    def log_densities(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Of both flows in nats, (n,), means over draws of where in its cell each pixel is, the same for both flows."""
        flows = [self.flow] if self.background is None else [self.flow, self.background]
        nats, *others = log_densities(flows, images, self.generator).mean(1)
        return nats, others[0] if others else None


def rounded(flow: Flow, images: Tensor) -> Tensor:
    """Images in [-1, 1], each pixel at the nearest of the flow's levels."""
    return likelihood.ranks(images, int(flow.levels)) / (flow.levels - 1) * 2 - 1


def gradient_norm(flow: Flow, images: Tensor, generator: Generator) -> Tensor:
    """The norm of ∂ log p / ∂x at each image, (n,)."""
    norms = list[Tensor]()
    for part in torch.split(pixels(images, int(flow.levels), generator), AT_ONCE):
        with torch.enable_grad():
            x = part.requires_grad_()
            (gradient,) = torch.autograd.grad(flow.log_density(x, generator=generator).sum(), x)
        norms.append(gradient.flatten(1).norm(dim=1))
    return torch.cat(norms)


def latent(flow: Flow, images: Tensor, generator: Generator) -> Tensor:
    """The norm of each image's noise, (n,): of a right flow about the root of its dimensions for the data.

    Where the prior knows classes, that of the likeliest one.
    """
    x = pixels(images, int(flow.levels), generator)
    with torch.no_grad():
        labels = flow.log_densities(x, generator).argmax(1)
        noise = flow.encode(x, labels, generator).noise
    norms: Tensor = torch.cat([part.flatten(1) for part in noise], 1).norm(dim=1)
    return norms


UNITS = {
    "likelihood": "−log₂ p, bits per dimension",
    "complexity": "−log₂ p − bits of the shortest code, per dimension",
    "ratio": "log₂ p of the background flow − log₂ p, per dimension",
    "typicality": "|log p − mean of training images|, nats",
    "gradient": "norm of ∂ log p / ∂x",
    "latent": "norm of the noise",
}


def histogram(name: str, scores: Mapping[str, Tensor], step: int) -> Curve:
    """The share of the images of each kind in equal bins of a score; the outer bins also have what is beyond them."""
    inside = scores["validation"]
    middle, spread = inside.median(), (inside.quantile(0.9) - inside.quantile(0.1)).clamp_min(1e-9)
    lowest = min(float(values.quantile(REACH)) for values in scores.values())
    highest = max(float(values.quantile(1 - REACH)) for values in scores.values())
    lowest, highest = max(lowest, float(middle - WIDEST * spread)), min(highest, float(middle + WIDEST * spread))
    edges = torch.linspace(lowest, highest, BINS + 1, dtype=torch.float64)
    lines = {}
    for kind, values in scores.items():
        bins = (torch.bucketize(values, edges) - 1).clamp(0, BINS - 1)
        lines[kind] = (torch.bincount(bins, minlength=BINS) / len(values)).tolist()
    return Curve(step, f"ood/{name}", ((edges[1:] + edges[:-1]) / 2).tolist(), lines, UNITS[name], "share of images")
