"""Flows that denoise point clouds: noise leaves in the latent code, and the inverse decodes what is left."""

from collections.abc import Generator, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from models.data.arrays import DataError
from models.data.clouds import dataset as clouds
from models.data.clouds.dataset import Clouds
from models.env import Env
from models.events import Event, Facts, Scalars
from models.parts.networks.blocks import n_weights
from models.parts.training import loop
from models.parts.training.checkpoint import Part
from models.parts.training.loop import Evaluation, LearningRate, Outcome
from models.parts.training.optimisation import seeded_init
from models.parts.training.reporting import finite
from models.points import pointnet
from models.points.batches import NoisyClouds
from models.points.config import Config
from models.points.divergence import DivergenceMonitor
from models.points.evaluation import Result, evaluate
from models.points.losses import losses
from models.points.networks import network
from models.points.pointnet import Judge
from models.points.scores import BASELINES, Benchmark

GRADIENT_CLIP = 1.0  # largest norm of the gradient in the weights


def check(config: Config, data: Clouds) -> None:
    """Raises DataError where a clean cloud has no three samples of so many points: noisy, reference and its floor."""
    if 3 * config.points > data.shape[0]:
        most = data.shape[0] // 3
        raise DataError(
            f"points={config.points}: clouds of '{data.name}' have {data.shape[0]} points, and three samples are needed; "
            f"use --set points={most}"
        )


class PointLearner:
    """A denoising flow: a Learner of the training loop."""

    def __init__(self, config: Config, env: Env, data: Clouds, judge: Judge) -> None:
        self.config, self.env, self.data, self.judge, self.updates = config, env, data, judge, config.updates
        with seeded_init(env.generator("weights").initial_seed()):
            self.network = network(config).to(env.device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), config.learning_rate, fused=True)
        self.learning_rates = (LearningRate(self.optimizer, config.learning_rate),)
        self.batches = NoisyClouds.of(data.train, config, env.generator("batches"))
        self.augmentation, self.monitor = env.generator("augmentation"), DivergenceMonitor()
        self.benchmark = Benchmark.of(data, config.points, config.evaluation_clouds)
        self.noisy = (
            self.benchmark.scores("noisy", self.benchmark.by_sigma(BASELINES["noisy"])) | self.benchmark.floor()
        )
        self.evaluations = (Evaluation(config.evaluations, self.evaluate),)
        self.parts: dict[str, Part] = {"network": self.network, "optimizer": self.optimizer}
        self.parts |= {"batches": self.batches.generator, "augmentation": self.augmentation}

    def introduce(self) -> Iterator[Event]:
        yield Facts({"judge/hash": self.judge.digest, "network/parameters": n_weights(self.network)})
        yield Scalars(0, finite(self.noisy))

    def update(self, index: int) -> Outcome:
        batch = self.batches.draw()
        if index == 0:
            self.network.initialise(batch.noisy)
        parts = losses(self.config, self.network, batch, self.augmentation)
        self.optimizer.zero_grad()
        parts.total.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_CLIP)
        self.optimizer.step()

        def measure() -> dict[str, float]:
            return {
                "loss": parts.total.item(),
                "loss/surface": parts.surface.item(),
                "loss/paired": parts.paired.item(),
                "loss/nll": parts.nll.item(),
                "loss/consistency": parts.consistency.item(),
                "training/gradient_norm": float(norm),
                "training/learning_rate": self.optimizer.param_groups[0]["lr"],
                "training/epochs": self.batches.epochs(index + 1),
            }

        return Outcome(None, measure)

    def check_divergence(self, step: int, measurements: Mapping[str, float]) -> None:
        self.monitor.check(step, measurements)

    def evaluate(self, step: int) -> Generator[Event, None, None]:
        values = yield from evaluate(self.result(step), self.env, self.noisy)
        self.monitor = self.monitor.update_scores(step, self.updates, values)

    def extra_state(self) -> dict[str, Any]:
        return {"watch": vars(self.monitor)}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        self.monitor = DivergenceMonitor(**state["watch"])

    def result(self, step: int) -> Result:
        return Result(self.config, self.network, self.data, self.judge, self.benchmark, step)


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, None, Result]:
    """Train on ``env.data``; raises Diverged. ``resume`` is the state of an earlier checkpoint of the same training."""
    data = clouds.load(env.data, env.data_folder)
    yield data.used
    judge = yield from pointnet.obtain(data, env.cache_folder, env.device)
    learner = PointLearner(config, env, data, judge)
    yield from loop.run(learner, resume)
    return learner.result(learner.updates)
