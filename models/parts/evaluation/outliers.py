"""Does an energy tell images of its data set from others? The area under the ROC curve, against each of several kinds.

0.5 is chance, 1 is that every other image has a higher energy than every validation image; values under 0.5 are reported
as they are. A low energy, or a high likelihood, of images that are nothing like the data is common and no mistake of the
measure: Nalisnick et al. 2019, arXiv:1810.09136, above all where the others are smoother than the data.
"""

import contextlib
from collections.abc import Callable, Mapping
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
    from sklearn.metrics import roc_auc_score

    def energies(images: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.cat([energy(batch.to(env.device)).double().cpu() for batch in torch.split(images[:n], BATCH)])

    inside = energies(data.validation.floats())
    others = {"train": data.train.floats(torch.arange(min(n, len(data.train)))), **more}
    others |= strangers(data, env.data_folder, env.generator("strangers"), n)
    values = {}
    for name, images in others.items():
        outside = energies(images)
        truth = torch.cat([torch.zeros(len(inside)), torch.ones(len(outside))])
        values[f"ood_auroc/{name}"] = float(roc_auc_score(truth, torch.cat([inside, outside])))
    return values


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
