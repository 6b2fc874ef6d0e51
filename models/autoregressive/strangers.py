"""Are images of other data stranger to the model than its own? Three scores by its likelihood, against the same strangers."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from models.autoregressive.networks import Network, nats_by_place
from models.data.dataset import Data
from models.env import Env
from models.events import Event, Scalars
from models.parts.evaluation import outliers
from models.parts.evaluation.likelihood import strangeness

N_IMAGES = 500  # of each kind
SCORES = ("likelihood", "complexity", "typicality")


def strangers(net: Network, data: Data, env: Env, step: int, more: Mapping[str, Tensor]) -> Iterator[Event]:
    """``ood_auroc/name`` by the likelihood, ``ood_auroc_complexity/name`` and ``ood_auroc_typicality/name`` by other scores.

    All images are first rounded to the levels of the model.
    """
    train = data.train.floats(torch.arange(min(N_IMAGES, len(data.train))))
    train_nats = float(_nats(net, train).mean())

    def scored(images: Tensor) -> dict[str, Tensor]:
        rounded = net.tokens.decode(net.tokens.encode(images)).cpu()
        return strangeness(_nats(net, images), rounded, train_nats)

    values = outliers.aurocs(scored, SCORES, data, env, N_IMAGES, more)
    yield Scalars(step, {f"ood_auroc{_suffix(score)}/{name}": value for score, name, value in values})


def _suffix(score: str) -> str:
    return "" if score == "likelihood" else f"_{score}"


def _nats(net: Network, images: Tensor) -> Tensor:
    return nats_by_place(net, net.tokens.encode(images)).sum(1).cpu()
