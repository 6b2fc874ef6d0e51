"""The judge: a small classifier, trained once on real images, in whose features images are compared.

It learns the classes of the images. Where they have none it learns which way up an image is, see ``orientation``.
"""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.data.dataset import Data, floats
from models.env import derive_seed
from models.events import Event, Facts, Progress
from models.parts.evaluation import orientation
from models.parts.evaluation.classes import confusion
from models.parts.networks.blocks import weights_digest
from models.parts.training import cache
from models.parts.training.augmentation import move, noisy
from models.parts.training.classifier import learn
from models.parts.training.optimisation import seeded_init

VERSION = "1"  # of the network and its training; a new one leaves older caches alone
N_FEATURES = 64
BATCH = 512  # images at a time when judging
TRAINING = {1: (800, 64), 3: (1_500, 128)}  # channels -> steps, images in each; one thread: 6 s at 8×8, 25 s at 28×28
LEARNING_RATE = 2e-3
NOISE = 0.05  # deviation, of pixels in [-1, 1]


class Network(nn.Module):
    """Images (n, *shape) in [-1, 1] -> logits (n, classes); ``features`` is the layer before them, (n, 64).

    Two convolutions for each size of map, which is halved down to 4 to 7 pixels. What is larger than 63 pixels is
    first averaged down: the judge looks at no finer detail.

    Features are taken before the last ReLU, where they are nearest to the Gaussians that FID takes them for, and
    scaled to mean 0 and variance 1 over real images, so that scores are of one size on all data sets.
    """

    def __init__(self, shape: tuple[int, int, int], n_classes: int) -> None:
        super().__init__()
        channels, *size = shape
        shrink = max(1, min(size) // 32)
        layers: list[nn.Module] = [nn.AvgPool2d(shrink)] if shrink > 1 else []
        halvings = max(0, int(math.log2(min(size) / shrink / 4)))
        before = channels
        for stage in range(halvings + 1):
            after = min(64, (32 if halvings < 2 else 16) * 2**stage)
            for channels_in in (before, after):
                layers += [nn.Conv2d(channels_in, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            if stage < halvings:
                layers.append(nn.AvgPool2d(2))
            before = after
        self.body = nn.Sequential(*layers, nn.Flatten())
        with torch.no_grad():
            n_pixels = self.body.eval()(torch.zeros(1, *shape)).shape[1]
        self.body.train()
        self.penultimate = nn.Sequential(nn.Linear(n_pixels, N_FEATURES), nn.BatchNorm1d(N_FEATURES, affine=False))
        self.head = nn.Linear(N_FEATURES, n_classes)

    def features(self, images: Tensor) -> Tensor:
        """(n, 64)."""
        features: Tensor = self.penultimate(self.body(images))
        return features

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(F.relu(self.features(images)))
        return logits


@dataclass(frozen=True, eq=False)
class Judge:
    """A trained judge; its weights never change."""

    network: Network
    digest: str  # of its weights
    accuracy: float  # share of the validation split that it gets right
    answers: tuple[str, ...]  # the classes, or orientations where there are none
    knows_classes: bool
    n_train: int  # images that it learned from
    n_validation: int

    def features(self, images: Tensor) -> Tensor:
        """(n, 64) for images in [-1, 1] on any device, on the judge's device."""
        return self._each(self.network.features, images)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities (n, answers) for images in [-1, 1] on any device, on the judge's device."""
        return self._each(lambda batch: self.network(batch).softmax(1), images)

    def confusion(self, data: Data) -> Tensor:
        """Counts (answers, answers) over validation images: a row for each true answer, a column for each that it gives."""
        images, n = data.validation.floats(), len(self.answers)
        if self.knows_classes:
            return confusion(data.validation.labels, self.predict(images).argmax(1), n)
        counts = torch.zeros(n, n, dtype=torch.long)
        for number in range(n):  # each image in each orientation
            truth = torch.full((len(images),), number)
            counts += confusion(truth, self.predict(orientation.turned(images, truth)).argmax(1), n)
        return counts

    def _each(self, function: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        device = self.network.head.weight.device
        with torch.no_grad():
            return torch.cat([function(batch.to(device)) for batch in torch.split(images, BATCH)])


def obtain(data: Data, cache_folder: Path, device: str) -> Generator[Event, None, Judge]:
    """The judge of ``data``, from the cache or trained now, which it says how far it is with; a damaged file is made anew."""
    path = cache_folder / f"judge-{VERSION}-{data.digest[:16]}.safetensors"

    def keep(judge: Judge) -> None:
        metadata = {"digest": judge.digest, "accuracy": judge.accuracy}
        cache.write(path, judge.network.state_dict(), "judge", metadata)

    begins = Progress("judge", 0, TRAINING[data.shape[0]][0])
    yield begins
    judge = yield from cache.shared(path, lambda: _read(path, data, device), lambda: train(data, device), keep, begins)
    if not judge.knows_classes:
        yield Facts({"judge/learned": f"orientation of images without classes: {', '.join(judge.answers)}"})
    return judge


def train(data: Data, device: str, number: int = 0) -> Generator[Event, None, Judge]:
    """Judge ``number`` of ``data``: 0 is the one that scores; others differ in first weights and batches alone."""
    seed = derive_seed("judge", VERSION, data.digest, *([number] if number else []))
    with seeded_init(seed):
        network = Network(data.shape, len(_answers(data)))
    network.to(device)
    generator = torch.Generator(device).manual_seed(seed)
    images, labels = data.train.images.to(device), data.train.labels.to(device)
    shown, vary = images, lambda batch: _vary(batch, generator)
    if not data.has_classes:  # image i in orientation o is number o · images + i
        shown = torch.arange(len(images) * len(_answers(data)), device=device)
        labels = shown // len(images)
        vary = lambda numbers: _vary(_turned(images, numbers), generator)  # noqa: E731
    steps, batch_size = TRAINING[data.shape[0]]
    settings = steps, batch_size, LEARNING_RATE, generator, vary
    for step in learn(network, shown, labels, *settings, weight_decay=1e-4):
        if step.done % 10 == 0:
            yield Progress("judge", step.done, steps)
    judge = _judge(network, data, math.nan)
    counts = judge.confusion(data)
    return replace(judge, accuracy=float(counts.trace() / counts.sum()))


def _answers(data: Data) -> tuple[str, ...]:
    return data.classes if data.has_classes else orientation.orientations(data.shape)


def _turned(images: Tensor, numbers: Tensor) -> Tensor:
    return orientation.turned(floats(images[numbers % len(images)]), numbers // len(images))


def _vary(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image shifted by up to a tenth of its size, with a little noise."""
    n, _, height, width = images.shape
    reach = max(1, min(height, width) // 10)
    down, right = torch.randint(2 * reach + 1, (2, n), generator=generator, device=images.device)
    shifted = move(images, down, right, reach, "replicate")
    return noisy(shifted, NOISE, generator)


def _judge(network: Network, data: Data, accuracy: float) -> Judge:
    network.eval().requires_grad_(False)
    known = _answers(data), data.has_classes
    return Judge(network, weights_digest(network), accuracy, *known, len(data.train), len(data.validation))


def _read(path: Path, data: Data, device: str) -> Judge | None:
    """The judge in the cache; None where there is none, or none that is whole."""
    try:
        weights, metadata = cache.read(path, "judge")
        with seeded_init(0):  # overwritten at once
            network = Network(data.shape, len(_answers(data)))
        network.load_state_dict(weights)
        judge = _judge(network, data, float(metadata["accuracy"]))
        if judge.digest != metadata["digest"]:
            return None
    except cache.DAMAGED:
        return None
    judge.network.to(device)
    return judge
