"""Normalising flows of images: an invertible network from images to noise, trained by the exact likelihood of what it gives."""

import math
from collections.abc import Generator, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from models.data import dataset as datasets
from models.env import Env
from models.events import Event
from models.flow.bits import pixels
from models.flow.config import Config
from models.flow.divergence import DivergenceMonitor
from models.flow.evaluation import Result, evaluate
from models.flow.networks import Flow, network
from models.parts.evaluation import likelihood, needs
from models.parts.evaluation.quality import Quality
from models.parts.training import loop
from models.parts.training.batches import Batches
from models.parts.training.checkpoint import Part
from models.parts.training.loop import Evaluation, LearningRate, Outcome
from models.parts.training.optimisation import seeded_init

GRADIENT_CLIP = 5.0  # largest norm of the gradient in the weights, of a loss in bits per dimension
INITIAL_IMAGES = 256  # training images by which scales and shifts begin


def check(config: Config, data: datasets.Data) -> None:
    """Raises DataError where sides cannot be halved, labels are not the classes, or Inception's weights cannot be used."""
    needs.refuse(data, config.inception_weights)
    height, width = data.shape[1:]
    if any(side % 2**config.halvings for side in (height, width)):
        raise datasets.DataError(
            f"scales={config.scales} halve images of {height}×{width} too often; use --set scales={config.scales - 1}"
            if config.scales > 1
            else f"images of {height}×{width} cannot be halved; use --set mixing=checkerboard"
        )
    if config.labels and config.classes != len(data.classes):
        raise datasets.DataError(
            f"classes={config.classes} and '{data.name}' has {len(data.classes)}; use --set classes={len(data.classes)}"
        )


def untrained(config: Config, data: datasets.Data, env: Env, images: Tensor) -> Flow:
    """A flow whose weights are the seed's, and whose scales and shifts begin with training ``images`` in [-1, 1]."""
    with seeded_init(env.generator("weights").initial_seed()):
        flow = network(config, data.shape).to(env.device)
    flow.levels.fill_(config.levels or likelihood.levels(data))
    flow.initialise(pixels(images.to(env.device), int(flow.levels), env.generator("first cells")))
    return flow


class FlowLearner:
    """A flow: a Learner of the training loop."""

    def __init__(self, config: Config, env: Env, data: datasets.Data, quality: Quality) -> None:
        self.config, self.data, self.quality, self.updates = config, data, quality, config.updates
        first = data.train.floats(torch.arange(min(INITIAL_IMAGES, len(data.train))))
        self.network = untrained(config, data, env, first)
        self.levels = int(self.network.levels)
        self.optimizer = torch.optim.Adam(self.network.parameters(), config.learning_rate, fused=True)
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
        x = pixels(images, self.levels, self.cells)
        nats = self.network.log_density(x, labels if self.config.labels else None, self.cells).mean()
        loss = -nats / (x[0].numel() * math.log(2))
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_CLIP)
        self.optimizer.step()

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
