"""The chains of a joint energy-based model: where they begin, how they step, and the replay buffer of where they ended."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Generator, Tensor, nn

from models.data import dataset as datasets
from models.jem.config import BOUNDS, Config
from models.jem.networks import conditional, in_mode, marginal
from models.parts.evaluation.classes import of_slots
from samplers import langevin, mixture, proximal, replay, starts
from samplers.kernel import Energy, Kernel, run


@dataclass(frozen=True, eq=False)
class Starts:
    """Where fresh chains begin: noise, or samples of a mixture of Gaussians for their labels."""

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


class ChainEnds(NamedTuple):
    """The chains of an update."""

    begin: Tensor  # (n, *shape)
    samples: Tensor  # (n, *shape)
    info: Any  # of the last step


class ReplayedChains:
    """Chains that continue from a replay buffer. Each slot of the buffer has a label for ever."""

    def __init__(self, config: Config, data: datasets.Data, starts: Starts, generator: Generator) -> None:
        self.config, self.starts, self.generator = config, starts, generator
        self.slot_labels = of_slots(config.buffer_size, data, str(generator.device))
        self.buffer = replay.Replay(starts.draw(self.slot_labels, generator), BOUNDS)

    def run(self, network: nn.Module) -> ChainEnds:
        """A batch of chains, a few of them fresh; their ends go back into the buffer."""
        config = self.config
        begin, slots = replay.draw(self.buffer, config.chains, config.fresh_share, self.generator, self._fresh)
        with in_mode(network, config.sampling_mode):
            marginal_energy = config.target == "marginal"
            energy = marginal(network) if marginal_energy else conditional(network, self.slot_labels[slots])
            samples, info = run(kernel(config, energy), begin, config.n_steps, self.generator)
        self.buffer = replay.put(self.buffer, slots, samples)
        return ChainEnds(begin, samples, info)

    def restore(self, images: Tensor) -> None:
        """Continue with ``images`` (capacity, *shape) as the buffer."""
        self.buffer = replay.Replay(images.to(self.slot_labels.device), BOUNDS)

    def _fresh(self, slots: Tensor, generator: Generator) -> Tensor:
        return self.starts.draw(self.slot_labels[slots], generator)
