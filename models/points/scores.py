"""The same noisy clouds for all trials on some data, and the scores of what denoisers make of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor

from models.data.clouds.dataset import Clouds, CloudSplit
from models.env import derive_seed
from models.points import metrics, neighbourhoods
from models.points.noise import CORRUPTIONS, SEVERITIES, corrupted, gaussian

SIGMAS = (0.01, 0.02, 0.03, 0.04)  # of the noise in the objective: its mean over them
Denoiser = Callable[[Tensor], Tensor]  # clouds (n, points, 3) to as many

BASELINES: Mapping[str, Denoiser] = {
    "noisy": lambda clouds: clouds,
    "plane_8": partial(neighbourhoods.by_planes, k=8),
    "plane_16": partial(neighbourhoods.by_planes, k=16),
    "neighbours": partial(neighbourhoods.by_means, k=8),
}


@dataclass(frozen=True, eq=False)
class Benchmark:
    """The first clouds of a split, in samples of ``points``: one to be made noisy, one as reference, one as its floor."""

    split: CloudSplit
    points: int
    count: int
    digest: str  # of the data: noise depends on nothing else

    @staticmethod
    def of(data: Clouds, points: int, count: int) -> "Benchmark":
        """Of the validation split."""
        return Benchmark(data.validation, points, min(count, len(data.validation)), data.digest)

    def _sample(self, number: int) -> Tensor:
        return self.split.clouds[: self.count, number * self.points : (number + 1) * self.points]

    @cached_property
    def clean(self) -> Tensor:
        """(count, points, 3)."""
        return self._sample(0)

    @property
    def labels(self) -> Tensor:
        """(count,)."""
        return self.split.labels[: self.count]

    def _generator(self, *salt: str | int) -> torch.Generator:
        return torch.Generator().manual_seed(derive_seed("points", self.digest, self.points, *salt))

    def gaussian(self, sigma: float) -> Tensor:
        """The clean clouds with normal noise."""
        return gaussian(self.clean, sigma, self._generator("gaussian", f"{sigma}"))

    def corrupted(self, name: str, severity: int) -> Tensor:
        """The clean clouds with a corruption of ModelNet40-C: (count, perhaps more points, 3)."""
        generator = self._generator(name, severity)
        return torch.stack([corrupted(cloud, name, severity, generator) for cloud in self.clean])

    def to_surface(self, index: int, cloud: Tensor) -> Tensor:
        """Squared distances (points,) to the triangles of a cloud; where there are none, to its clean points."""
        triangles = self.split.surface(index)
        cloud = cloud.cpu()
        return (
            metrics.to_points(cloud, self.split.clouds[index])
            if triangles is None
            else metrics.to_surface(cloud, triangles)
        )

    def surface(self, clouds: Tensor) -> float:
        """Mean squared distance to the surface, in UNIT."""
        distances = [self.to_surface(index, cloud).mean() for index, cloud in enumerate(clouds)]
        return float(torch.stack(distances).mean()) / metrics.UNIT

    def others(self, name: str, clouds: Tensor) -> dict[str, float]:
        """Chamfer distance to a fresh clean sample in UNIT, Hausdorff distance, unevenness: ``chamfer/name`` …"""
        pairs = list(zip(clouds.cpu(), self._sample(1), strict=True))
        return {
            f"chamfer/{name}": _mean([metrics.chamfer(a, b) for a, b in pairs]) / metrics.UNIT,
            f"hausdorff/{name}": _mean([metrics.hausdorff(a, b) for a, b in pairs]),
            f"unevenness/{name}": _mean([metrics.unevenness(a) for a, _ in pairs]),
            f"spacing/{name}": _mean([float(metrics.spacing(a).median()) for a, _ in pairs]),
        }

    def floor(self) -> dict[str, float]:
        """What fresh clean samples score: no denoiser can be expected to do better."""
        values = self.others("clean", self._sample(2))
        return {"chamfer/floor": values.pop("chamfer/clean"), **values}

    def by_sigma(self, denoiser: Denoiser) -> dict[float, Tensor]:
        """The denoised clouds (count, points, 3) of each σ."""
        return {sigma: denoiser(self.gaussian(sigma)) for sigma in SIGMAS}

    def scores(self, name: str, clouds: Mapping[float, Tensor]) -> dict[str, float]:
        """Of clouds by σ: ``surface/name`` is the mean over σ, ``surface_0.02/name`` that of one; others are means over σ."""
        values = {f"surface_{sigma}/{name}": self.surface(denoised) for sigma, denoised in clouds.items()}
        values[f"surface/{name}"] = _mean(list(values.values()))
        each = [self.others(name, denoised) for denoised in clouds.values()]
        return values | {key: _mean([scores[key] for scores in each]) for key in each[0]}

    def by_severity(self, corruption: str, denoiser: Denoiser) -> list[float]:
        """Distance to the surface, in UNIT, at each severity of a corruption."""
        return [self.surface(denoiser(self.corrupted(corruption, severity))) for severity in SEVERITIES]


def of_corruptions(
    benchmark: Benchmark, denoisers: Mapping[str, Denoiser]
) -> tuple[dict[str, float], dict[str, dict[str, list[float]]]]:
    """``surface_background/denoised`` …: means over severities; and the values at each, by corruption and denoiser."""
    lines = {
        corruption: {name: benchmark.by_severity(corruption, denoiser) for name, denoiser in denoisers.items()}
        for corruption in CORRUPTIONS
    }
    means = {f"surface_{of}/{name}": _mean(values) for of, each in lines.items() for name, values in each.items()}
    return means, lines


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
