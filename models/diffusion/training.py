"""Diffusion models of images: a U-Net learns to predict the noise in noised images, and draws by taking it away."""

from collections.abc import Generator, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from models.data import dataset as datasets
from models.diffusion.config import Config
from models.diffusion.divergence import DivergenceMonitor
from models.diffusion.evaluation import Result, evaluate
from models.diffusion.losses import loss, weights
from models.diffusion.networks import network
from models.env import Env
from models.events import Event
from models.parts.evaluation import likelihood, needs
from models.parts.evaluation.quality import Quality
from models.parts.training import loop
from models.parts.training.batches import Batches
from models.parts.training.checkpoint import Part
from models.parts.training.loop import Evaluation, LearningRate, Outcome
from models.parts.training.optimisation import seeded_init, update_ema

GRADIENT_CLIP = 1.0  # largest norm of the gradient in the weights


def check(config: Config, data: datasets.Data) -> None:
    """Raises DataError where patches do not fit the images, labels not the classes, or Inception's weights cannot be used."""
    needs.refuse(data, config.inception_weights)
    sides = data.shape[1:]
    if any(side % config.patch for side in sides):
        raise datasets.DataError(
            f"patch={config.patch} does not divide images of {sides[0]}×{sides[1]}; use --set patch=1"
        )
    if min(sides) // config.patch < 2 ** (config.levels - 1):
        raise datasets.DataError(
            f"levels={config.levels} halve images of {sides[0]}×{sides[1]} too often; use --set levels=1"
        )
    if config.labels:
        needs.refuse_other_classes(data, config.classes)


class DiffusionLearner:
    """A diffusion model: a Learner of the training loop. Averaged weights draw the images."""

    def __init__(self, config: Config, env: Env, data: datasets.Data, quality: Quality) -> None:
        self.config, self.env, self.data, self.quality, self.updates = config, env, data, quality, config.updates
        with seeded_init(env.generator("weights").initial_seed()):
            self.network = network(config, data.shape).to(env.device)
            self.average = network(config, data.shape).to(env.device)
        self.average.load_state_dict(self.network.state_dict())
        self.average.requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.network.parameters(), config.learning_rate, fused=True)
        self.learning_rates = (LearningRate(self.optimizer, config.learning_rate),)
        self.batches = Batches.of(data.train, config.batch_size, env.generator("batches"))
        self.noise, self.monitor = env.generator("noise"), DivergenceMonitor()
        self.weights = weights(config, self.network.schedule).to(env.device)
        self.evaluations = (Evaluation(config.evaluations, self.evaluate),)
        self.parts: dict[str, Part] = {"network": self.network, "average": self.average, "optimizer": self.optimizer}
        self.parts |= {"batches": self.batches.generator, "noise": self.noise}

    def introduce(self) -> Iterator[Event]:
        yield from self.quality.introduce(self.data, self.network)

    def update(self, index: int) -> Outcome:
        images, labels = self.batches.draw()
        error = loss(self.config, self.network, self.weights, images, labels, self.noise).mean()
        self.optimizer.zero_grad()
        error.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_CLIP)
        self.optimizer.step()
        update_ema(self.average, self.network, index, self.config.ema_decay)

        def measure() -> dict[str, float]:
            rate = self.optimizer.param_groups[0]["lr"]
            epochs = self.batches.epochs(index + 1)
            return {
                "loss": error.item(),
                "training/gradient_norm": float(norm),
                "training/learning_rate": rate,
                "training/epochs": epochs,
            }

        return Outcome(None, measure)

    def check_divergence(self, step: int, measurements: Mapping[str, float]) -> None:
        self.monitor = self.monitor.update(step, self.updates, measurements)

    def evaluate(self, step: int) -> Generator[Event, None, None]:
        values = yield from evaluate(self.result(step), self.env)
        self.monitor = self.monitor.update_classes(step, self.updates, values)

    def extra_state(self) -> dict[str, Any]:
        return {"watch": {**vars(self.monitor), "norms": list(self.monitor.norms)}}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        watch = state["watch"]
        self.monitor = DivergenceMonitor(**{**watch, "norms": tuple(watch["norms"])})

    def result(self, step: int) -> Result:
        levels = likelihood.levels(self.data)
        return Result(self.config, self.average, self.network, self.data, self.quality, levels, step)


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, None, Result]:
    """Train on ``env.data``; raises Diverged. ``resume`` is the state of an earlier checkpoint of the same training."""
    data = datasets.load(env.data, env.data_folder)
    quality = yield from Quality.obtain(data, env, config.evaluation_samples, config.inception_weights)
    learner = DiffusionLearner(config, env, data, quality)
    yield from loop.run(learner, resume)
    return learner.result(learner.updates)
