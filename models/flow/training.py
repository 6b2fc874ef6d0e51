"""Normalising flows of images: an invertible network from images to noise, trained by the exact likelihood of what it gives."""

from collections.abc import Generator, Iterator, Mapping
from typing import Any

from models.data import dataset as datasets
from models.env import Env
from models.events import Event
from models.flow.config import Config
from models.flow.divergence import DivergenceMonitor
from models.flow.evaluation import Result, evaluate
from models.flow.learning import descend, optimiser, untrained
from models.parts.evaluation import likelihood, needs
from models.parts.evaluation.quality import Quality
from models.parts.training import loop
from models.parts.training.batches import Batches
from models.parts.training.checkpoint import Part
from models.parts.training.loop import Evaluation, LearningRate, Outcome


def check(config: Config, data: datasets.Data) -> None:
    """Raises DataError where sides cannot be halved, there are fewer grey levels or other classes than the settings say, or
    Inception's weights cannot be used.
    """
    needs.refuse(data, config.inception_weights)
    _refuse_sides(config, *data.shape[1:])
    if config.levels and config.levels > (present := likelihood.levels(data)):
        raise datasets.DataError(
            f"levels={config.levels} and '{data.name}' has {present}, so bits would count levels that no image has; use --set "
            f"levels={present}"
        )
    if config.labels:
        needs.refuse_other_classes(data, config.classes)


def _refuse_sides(config: Config, height: int, width: int) -> None:
    """Raises DataError where the settings halve sides more often than they can be; its way out needs no second one."""
    possible = next(n for n in range(32) if any(side % 2 ** (n + 1) for side in (height, width)))
    if config.halvings <= possible:
        return
    most = possible + config.scales - config.halvings
    raise datasets.DataError(
        f"scales={config.scales} halve images of {height}×{width} too often; use --set scales={most}"
        if most
        else f"images of {height}×{width} cannot be halved; use --set mixing=checkerboard,scales=1"
    )


class FlowLearner:
    """A flow: a Learner of the training loop."""

    def __init__(self, config: Config, env: Env, data: datasets.Data, quality: Quality) -> None:
        self.config, self.data, self.quality, self.updates = config, data, quality, config.updates
        self.network = untrained(config, data, env)
        self.levels = int(self.network.levels)
        self.optimizer = optimiser(self.network, config)
        self.learning_rates = (LearningRate(self.optimizer, config.learning_rate),)
        self.batches = Batches.of(data.train, config.batch_size, env.generator("batches"))
        self.cells, self.monitor = env.generator("cells"), DivergenceMonitor()
        self.evaluations = (Evaluation(config.evaluations, lambda step: evaluate(self.result(step), env)),)
        self.parts: dict[str, Part] = {"network": self.network, "optimizer": self.optimizer}
        self.parts |= {"batches": self.batches.generator, "cells": self.cells}

    def introduce(self) -> Iterator[Event]:
        yield from self.quality.introduce(self.data, self.network)

    def update(self, index: int) -> Outcome:
        images, labels = self.batches.draw()
        nats, norm = descend(self.network, self.optimizer, images, labels if self.config.labels else None, self.cells)

        def measure() -> dict[str, float]:
            bits = likelihood.bits(nats.item(), self.data.shape, 1 / self.levels)
            return {
                "likelihood/training_bits": bits,
                "training/gradient_norm": float(norm),
                "training/learning_rate": self.optimizer.param_groups[0]["lr"],
                "training/epochs": self.batches.epochs(index + 1),
            }

        return Outcome(None, measure)

    def check_divergence(self, step: int, measurements: Mapping[str, float]) -> None:
        self.monitor = self.monitor.update(step, self.updates, measurements, self.levels)

    def extra_state(self) -> dict[str, Any]:
        return {"watch": vars(self.monitor)}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        self.monitor = DivergenceMonitor(**state["watch"])

    def result(self, step: int) -> Result:
        return Result(self.config, self.network, self.data, self.quality, step)


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, None, Result]:
    """Train on ``env.data``; raises Diverged. ``resume`` is the state of an earlier checkpoint of the same training."""
    data = datasets.load(env.data, env.data_folder)
    quality = yield from Quality.obtain(data, env, config.evaluation_samples, config.inception_weights)
    learner = FlowLearner(config, env, data, quality)
    yield from loop.run(learner, resume)
    return learner.result(learner.updates)
