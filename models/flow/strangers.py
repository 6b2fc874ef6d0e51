"""Are images of other data stranger to the flow than its own? Several scores, each with its own answer.

A raw likelihood finds simple images likelier than the data: Nalisnick et al. 2019, arXiv:1810.09136. None of the scores is
chosen by how well it does.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from models.data.dataset import Data
from models.env import Env
from models.events import Event, Scalars
from models.flow.bits import log_densities, pixels
from models.flow.networks import Flow
from models.parts.evaluation import likelihood, outliers

IMAGES = 500  # of each kind
SCORES = ("likelihood", "complexity", "typicality", "gradient", "latent")


def strangers(flow: Flow, data: Data, env: Env, step: int) -> Iterator[Event]:
    """``ood_auroc_SCORE/NAME`` for each score and each kind of strangers."""
    flow.requires_grad_(False)
    generator = env.generator("strangers' cells")
    trained = data.train.floats(torch.arange(min(IMAGES, len(data.train))))
    usual = float(log_densities(flow, trained, generator, 1).mean())

    def scored(images: Tensor) -> dict[str, Tensor]:
        nats = log_densities(flow, images, generator, 1)[0]
        values = likelihood.strangeness(nats, rounded(flow, images).cpu(), usual)
        return values | {"gradient": gradient_norm(flow, images, generator), "latent": latent(flow, images, generator)}

    values = outliers.aurocs(scored, SCORES, data, env, IMAGES, {})
    yield Scalars(step, {f"ood_auroc_{score}/{name}": value for score, name, value in values})
    flow.requires_grad_(True)


def rounded(flow: Flow, images: Tensor) -> Tensor:
    """Images in [-1, 1], each pixel at the nearest of the flow's levels."""
    return likelihood.ranks(images, int(flow.levels)) / (flow.levels - 1) * 2 - 1


def gradient_norm(flow: Flow, images: Tensor, generator: torch.Generator) -> Tensor:
    """The norm of ∂ log p / ∂x at each image, (n,)."""
    with torch.enable_grad():
        x = pixels(images, int(flow.levels), generator).requires_grad_()
        (gradient,) = torch.autograd.grad(flow.log_density(x, generator=generator).sum(), x)
    norms: Tensor = gradient.flatten(1).norm(dim=1)
    return norms


def latent(flow: Flow, images: Tensor, generator: torch.Generator) -> Tensor:
    """The norm of each image's noise, (n,): of a right flow about the root of its dimensions for the data.

    Where the prior knows classes, that of the likeliest one.
    """
    x = pixels(images, int(flow.levels), generator)
    with torch.no_grad():
        labels = flow.log_densities(x, generator).argmax(1)
        noise = flow.encode(x, labels, generator).noise
    norms: Tensor = torch.cat([part.flatten(1) for part in noise], 1).norm(dim=1)
    return norms
