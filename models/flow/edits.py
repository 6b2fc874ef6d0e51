"""Edits of real images in the noise of a flow: moved along an attribute, disturbed scale by scale, and fused.

Kingma and Dhariwal 2018, arXiv:1807.03039, section 5.3. All are of noise, which has one unit at all scales.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor

from models.data import dataset as datasets
from models.data.dataset import Data
from models.env import Env
from models.events import Images
from models.flow.bits import pixels
from models.flow.config import Config
from models.flow.networks import Flow, network
from models.parts.networks.blocks import restored

AMOUNTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)  # of an attribute
STOPS = 9  # of a fusion
SHARES = tuple(stop / (STOPS - 1) for stop in range(STOPS))  # of the second image there
AVERAGED = 1_000  # training images of a mean, at most
ROWS = 6  # images, or pairs, of a picture
EXTREME = 0.2  # share of the images that have most, and least, of an attribute


class Editor:
    """A trained flow and the data whose images it edits."""

    def __init__(self, flow: Flow, data: Data, env: Env) -> None:
        self.flow, self.data, self.generator = flow, data, env.generator("edited cells")

    def _labels(self, n: int) -> Tensor | None:
        """All noise is read by the prior of the first class, so that that of two classes has one origin."""
        return torch.zeros(n, dtype=torch.long, device=self.generator.device) if self.flow.top.classes else None

    @torch.no_grad()
    def noise(self, images: Tensor) -> Tensor:
        """Of images (n, *shape) in [-1, 1], that of all scales as one of their shape."""
        x = pixels(images, int(self.flow.levels), self.generator)
        parts = self.flow.encode(x, self._labels(len(x)), self.generator).noise
        return torch.cat([part.flatten(1) for part in parts], 1).view(images.shape)

    @torch.no_grad()
    def images(self, noise: Tensor) -> Tensor:
        """Images (n, *shape) in [-1, 1] of noise of their shape."""
        x = self.flow.decode(self.flow.split_noise(noise), self._labels(len(noise)))
        return self.flow.images(x)

    def of_class(self, label: int, n: int, trained: bool = False) -> Tensor:
        """The first ``n`` images of a class, at most: of the validation split, or training images."""
        split = self.data.train if trained else self.data.validation
        return split.floats(torch.nonzero(split.labels == label).flatten()[:n])

    def mean_noise(self, images: Tensor) -> Tensor:
        """(*shape)."""
        return self.noise(images).mean(0)

    def towards(self, source: int, target: int) -> Tensor:
        """From the mean noise of training images of one class to that of another, (*shape)."""
        first, second = (self.mean_noise(self.of_class(label, AVERAGED, trained=True)) for label in (source, target))
        return second - first

    def along(self, attribute: Tensor) -> Tensor:
        """From the mean noise of the training images with least of an ``attribute`` (n,) to those with most, (*shape).

        The attribute is of the first n training images; it may be computed from their pixels, and needs no labels.
        """
        order, n = attribute.argsort(), max(1, int(EXTREME * len(attribute)))
        least, most = (self.mean_noise(self.data.train.floats(part.cpu())) for part in (order[:n], order[-n:]))
        return most - least

    def moved(self, noise: Tensor, direction: Tensor, amounts: Sequence[float]) -> Tensor:
        """Images (n × amounts, *shape): of each noise in turn, moved by each amount."""
        steps = torch.tensor(amounts, device=noise.device).view(1, -1, 1, 1, 1)
        return self.images((noise[:, None] + steps * direction).flatten(0, 1))


def lerp(first: Tensor, second: Tensor, share: float) -> Tensor:
    """(1 − share) first + share second. Its norm is smaller on the way: half of two that are orthogonal has 1/√2 of theirs."""
    return (1 - share) * first + share * second


def slerp(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Along the great circle between the directions of two batches (n, …), its norm between theirs."""
    a, b = first.flatten(1), second.flatten(1)
    norms = a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True)
    a, b = a / norms[0], b / norms[1]
    angle = (a * b).sum(1, keepdim=True).clamp(-1, 1).acos().clamp_min(1e-6)
    direction = (((1 - share) * angle).sin() * a + (share * angle).sin() * b) / angle.sin()
    between: Tensor = (lerp(norms[0], norms[1], share) * direction).view_as(first)
    return between


def fused(editor: Editor, first: Tensor, second: Tensor) -> dict[str, list[Tensor]]:
    """Images on the way between two batches (n, *shape), at each of STOPS: by noise, by its great circle, and by pixels."""
    a, b = editor.noise(first), editor.noise(second)
    return {
        "noise": [editor.images(lerp(a, b, share)) for share in SHARES],
        "great circle": [editor.images(slerp(a, b, share)) for share in SHARES],
        "pixels": [lerp(first, second, share).to(a.device) for share in SHARES],
    }


def rows_of_fusion(editor: Editor, first: Tensor, second: Tensor, step: int) -> Images:
    """For each pair three rows: by noise, by its great circle, and by pixels, which shows both images at once."""
    ways = torch.stack([torch.stack(images, 1) for images in fused(editor, first, second).values()], 1)
    return Images(step, "edits/fusion", ways.flatten(0, 2), columns=STOPS)


def edit(config: Config, env: Env, weights: Mapping[str, Tensor], way: str, first: int, second: int) -> Images:
    """Validation images of class ``first``, which the seed chooses: ``way`` is "fuse", with images of class ``second``, or
    "transfer", moved towards that class.
    """
    data = datasets.load(env.data, env.data_folder)
    editor = Editor(restored(network(config, data.shape), weights, env.device), data, env)
    images = _chosen(editor, first, env.generator("edited images"))
    if way == "transfer":
        moved = editor.moved(editor.noise(images), editor.towards(first, second), AMOUNTS)
        return Images(0, "edits/transfer", moved.cpu(), columns=len(AMOUNTS))
    others = _chosen(editor, second, env.generator("other edited images"))
    n = min(len(images), len(others))
    return rows_of_fusion(editor, images[:n], others[:n], 0)


def _chosen(editor: Editor, label: int, generator: Generator) -> Tensor:
    images = editor.of_class(label, len(editor.data.validation))
    order = torch.randperm(len(images), generator=generator, device=generator.device)[:ROWS]
    return images[order.cpu()].to(generator.device)
