"""The chains of a joint energy-based model: where they begin and how they step, two switches that know nothing of each other."""

from dataclasses import dataclass

from torch import Generator, Tensor

from models.data import dataset as datasets
from models.jem.config import BOUNDS, Config
from samplers import langevin, mixture, proximal, starts
from samplers.kernel import Energy, Kernel


@dataclass(frozen=True, eq=False)
class Starts:
    """Where fresh chains begin: noise, or what a mixture of Gaussians has for their labels."""

    shape: tuple[int, ...]
    gaussians: mixture.Mixture | None

    @staticmethod
    def of(config: Config, data: datasets.Data, device: str) -> "Starts":
        """Those of ``config``; a mixture is estimated on the training images, the same at every call."""
        if config.start == "noise":
            return Starts(data.shape, None)
        images, labels = data.train.floats().to(device), data.train.labels.to(device)
        return Starts(data.shape, mixture.fit(images, labels, len(data.classes), config.mixture_rank))

    def draw(self, labels: Tensor, generator: Generator) -> Tensor:
        """A start for each of ``labels`` (n,): (n, *shape)."""
        if self.gaussians is None:
            return starts.uniform(len(labels), self.shape, BOUNDS, generator)
        return mixture.draw(self.gaussians, labels, BOUNDS, generator)


def kernel(config: Config, energy: Energy) -> Kernel:
    """One evaluation of the network a step.

    The first layer of every network is linear, where N inner steps of α are one of N·α: none is told apart.
    """
    if config.sampler == "proximal":
        return proximal.build(energy, config.step_size, config.clamp, config.noise, config.inner_steps, bounds=BOUNDS)
    return langevin.build(energy, config.step_size, config.noise, bounds=BOUNDS)
