"""Does an energy tell images of its data set from others? The area under the ROC curve, against each of several kinds.

0.5 is chance, 1 is that every other image has a higher energy than every validation image; values under 0.5 are reported
as they are. A low energy, or a high likelihood, of images that are nothing like the data is common and no mistake of the
measure: Nalisnick et al. 2019, arXiv:1810.09136, above all where the others are smoother than the data.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from models.data import dataset as datasets
from models.env import Env

BATCH = 256  # images through the network at a time

Measure = Callable[[Tensor], Tensor]  # images (n, *shape) -> (n,), higher is stranger: an energy, say


def auroc(energy: Measure, data: datasets.Data, env: Env, n: int, more: Mapping[str, Tensor]) -> dict[str, float]:
    """``ood_auroc/name``: the chance that an image of that name has a higher energy than one of the validation split.

    Of the first ``n`` images each: those of ``strangers``, those ``more`` that are given, and ``train``, the training
    split, which should be near 0.5.
    """
    rows = aurocs(lambda images: {"energy": energy(images)}, ("energy",), data, env, n, more)
    return {f"ood_auroc/{name}": value for _, name, value in rows}


def aurocs(
    scored: Callable[[Tensor], Mapping[str, Tensor]],
    names: Sequence[str],
    data: datasets.Data,
    env: Env,
    n: int,
    more: Mapping[str, Tensor],
) -> Iterator[tuple[str, str, float]]:
    """The same for several scores at once: (score, name of the images, chance) for each of ``names``.

    ``scored`` gives of images (m, *shape) the scores (m,) by name, higher is stranger.
    """
    yield from chances(scores_by_kind(scored, names, data, env, n, more))


def scores_by_kind(
    scored: Callable[[Tensor], Mapping[str, Tensor]],
    names: Sequence[str],
    data: datasets.Data,
    env: Env,
    n: int,
    more: Mapping[str, Tensor],
) -> dict[str, Mapping[str, Tensor]]:
    """The scores of ``validation`` images, first, and of every other kind: of each the scores (at most n,) by name."""

    def values(images: Tensor) -> Mapping[str, Tensor]:
        with torch.no_grad():
            batches = [scored(batch.to(env.device)) for batch in torch.split(images[:n], BATCH)]
        return {name: torch.cat([batch[name].double().cpu() for batch in batches]) for name in names}

    others = {"train": data.train.floats(torch.arange(min(n, len(data.train)))), **more}
    others |= strangers(data, env.data_folder, env.generator("strangers"), n)
    return {"validation": values(data.validation.floats())} | {kind: values(images) for kind, images in others.items()}


def chances(by_kind: Mapping[str, Mapping[str, Tensor]]) -> Iterator[tuple[str, str, float]]:
    """(score, kind, chance that an image of that kind is stranger than one of ``validation``) for each score and kind."""
    from sklearn.metrics import roc_auc_score

    inside = by_kind["validation"]
    for kind, outside in by_kind.items():
        if kind == "validation":
            continue
        for name, scores in outside.items():
            truth = torch.cat([torch.zeros(len(inside[name])), torch.ones(len(scores))])
            yield name, kind, float(roc_auc_score(truth, torch.cat([inside[name], scores])))


def strangers(data: datasets.Data, folder: Path, generator: Generator, n: int) -> dict[str, Tensor]:
    """Images (at most n, *shape) in [-1, 1] that are not of the data set, by name.

    ``noise`` is uniform. ``blank`` has one random colour an image. Made of validation images: ``inverted``,
    ``shuffled`` (the pixels of each image in an order of its own) and ``blended`` (the mean of two). Then every other
    data set that can be had without a network and has as many channels and no fewer pixels; larger ones are averaged down.
    """
    real = data.validation.floats()[:n].to(generator.device)
    n, (channels, height, width) = len(real), data.shape

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=generator.device) * 2 - 1

    order = uniform(n, height * width).argsort(1)[:, None].expand(-1, channels, -1)
    images_by_kind = {
        "noise": uniform(n, *data.shape),
        "blank": uniform(n, channels, 1, 1).expand(n, *data.shape),
        "inverted": -real,
        "shuffled": real.flatten(2).gather(2, order).view(n, *data.shape),
        "blended": (real + real.roll(1, 0)) / 2,
    }
    for name in datasets.available_offline(folder):
        if name == data.name.partition(":")[0]:
            continue
        with contextlib.suppress(datasets.DataError):  # files that are damaged: what is not there is not reported
            other = datasets.load(name, folder)
            if other.shape[0] == channels and other.shape[1] >= height and other.shape[2] >= width:
                images_by_kind[name] = F.adaptive_avg_pool2d(other.validation.floats()[:n], (height, width))
    return images_by_kind
