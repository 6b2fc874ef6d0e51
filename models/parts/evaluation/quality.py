"""How good generated images are by the judge, always beside what the same numbers are for real images and for noise."""

from collections import abc
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Generator, Tensor, nn

from models.data.dataset import Data
from models.env import Env
from models.events import Event, Facts, Matrix, Scalars
from models.parts.evaluation import inception, metrics
from models.parts.evaluation import judge as judges
from models.parts.evaluation.classes import accuracy
from models.parts.evaluation.judge import Judge
from models.parts.evaluation.legibility import judged_classes
from models.parts.networks.blocks import n_weights


@dataclass(frozen=True)
class Quality:
    """Scores against the validation split, from ``n`` images each: FID falls as n grows, so n is the same for all.

    The reference is the validation split, so neither copies of training images nor a look at the test split can win.
    """

    judge: Judge
    reference: Tensor  # (images of the validation split, features)
    n: int
    real: Tensor  # the first n images of the validation split
    inception_weights: str | None = None  # file of Inception's, where FID is wanted in its features, too

    @staticmethod
    def against_validation(judge: Judge, data: Data, n: int, inception_weights: str | None = None) -> "Quality":
        """Against all of ``data``'s validation split."""
        real = data.validation.floats()
        return Quality(judge, judge.features(real), n, real[:n], inception_weights)

    @staticmethod
    def obtain(
        data: Data, env: Env, n: int, inception_weights: str | None = None
    ) -> abc.Generator[Event, None, "Quality"]:
        """By the judge of ``data``, from the cache or trained now: how a trainer begins."""
        yield data.used
        judge = yield from judges.obtain(data, env.cache_folder, env.device)
        return Quality.against_validation(judge, data, n, inception_weights)

    def introduce(self, data: Data, network: nn.Module) -> abc.Iterator[Event]:
        """What is learned once: who the judge is and how well it judges, and the size of the network that it will judge."""
        judge, size = self.judge, n_weights(network)
        yield Facts({"judge/hash": judge.digest, "judge/images": judge.n_train, "network/parameters": size})
        yield Scalars(0, {"judge/accuracy": judge.accuracy})
        yield Matrix(0, "judge/confusion", judge.confusion(data), judge.answers, judge.answers)

    def fid(self, images: Tensor) -> float:
        """FID of the first n images, (n, channels, height, width) in [-1, 1], in the judge's features."""
        return metrics.fid(self.reference, self.judge.features(images[: self.n]))

    def read_as(self, images: Tensor, labels: Tensor) -> float:
        """The share of images that the judge reads as their label."""
        return accuracy(self.judge.predict(images), labels)

    def scores(self, name: str, images: Tensor) -> dict[str, float]:
        """FID, KID, precision, recall, density, coverage of the first n images, as ``metric/name``."""
        values = metrics.scores(self.reference, self.judge.features(images[: self.n]))
        return {f"{metric}/{name}": value for metric, value in values.items()}

    @cached_property
    def _real_classes(self) -> dict[str, float]:
        """The same at every evaluation."""
        return judged_classes(self.judge, "_real", self.real)

    def of_new_images(self, name: str, images: Tensor) -> dict[str, float]:
        """Everything that a family says of its new images, the same for all: ``scores``, classes and legibility beside those
        of real images, and ``fid/inception`` where its weights are given.
        """
        images = images[: self.n]
        values = self.scores(name, images)
        values |= judged_classes(self.judge, "", images) | self._real_classes
        if self.inception_weights is not None:
            device = str(self.reference.device)
            values["fid/inception"] = inception.fid(self.inception_weights, self.real, images, device)
        return values

    def anchors(self, data: Data, generator: Generator) -> dict[str, float]:
        """``metric/real``: n training images. ``metric/noise``: n images of uniform noise, as bad as it gets."""
        indices = torch.randperm(len(data.train), generator=generator, device=generator.device)[: self.n].cpu()
        noise = torch.rand(self.n, *data.shape, generator=generator, device=generator.device) * 2 - 1
        return self.scores("real", data.train.floats(indices)) | self.scores("noise", noise)
