"""Generative adversarial networks: a generator and a critic that learn from each other, by one of several losses.

Goodfellow et al. 2014, arXiv:1406.2661, and Wasserstein's: Arjovsky et al. 2017, arXiv:1701.07875.
"""

import math
from collections.abc import Generator, Iterator, Mapping
from functools import partial
from typing import Any

from models.data import dataset as datasets
from models.env import Env
from models.events import Event
from models.gan import losses
from models.gan.clusters import told_data
from models.gan.conditioning import check_classes, class_loss, hidden_loss, values
from models.gan.config import Config
from models.gan.divergence import DivergenceMonitor
from models.gan.evaluation import Result, evaluate, introduce
from models.gan.measurements import CriticUpdate, GeneratorUpdate, Spent, measure
from models.gan.players import Batch, Players
from models.parts.evaluation import needs
from models.parts.evaluation.quality import Quality
from models.parts.training import loop
from models.parts.training.loop import Evaluation, Outcome
from models.parts.training.optimisation import update_ema


def check(config: Config, data: datasets.Data) -> None:
    """Raises DataError where the data have too many classes for the networks, or Inception's weights cannot be used."""
    check_classes(config, data)
    needs.refuse(data, config.inception_weights)


class AdversarialLearner:
    """Two networks and the progress of their training: a Learner of the training loop. ``config`` is resolved."""

    def __init__(self, config: Config, env: Env, data: datasets.Data, quality: Quality) -> None:
        self.config, self.env, self.data, self.quality = config, env, data, quality
        self.told = told_data(config, data)
        self.players = Players(config, env, self.told)
        self.updates, self.parts, self.learning_rates = config.updates, self.players.parts, self.players.learning_rates
        self.evaluations = (Evaluation(config.evaluations, self.evaluate),)
        self.monitor, self.network_evaluations = DivergenceMonitor(), 0
        self.history: list[tuple[float, float]] = []  # epochs, and fid/generated then

    def introduce(self) -> Iterator[Event]:
        yield from self.quality.introduce(self.data, self.players.generator)
        yield from introduce(self.result(0), self.env)

    def update(self, index: int) -> Outcome:
        """One update of the generator, after those of the critic; it learns from the images that the last of these saw."""
        for left in reversed(range(self.config.critic_updates(index))):
            batch = self.players.draw(with_gradients=left == 0)
            of_critic = self.update_critic(index, batch)
        of_generator = self.update_generator(index, batch)
        spent = Spent(self.network_evaluations, self.epochs(index + 1))
        return Outcome(of_generator.images, partial(measure, self.config, self.players, of_critic, of_generator, spent))

    def update_critic(self, index: int, batch: Batch) -> CriticUpdate:
        config, players, critic = self.config, self.players, self.players.critic
        labels, asked = batch.labels, batch.asked
        real, generated = (players.add_noise(images, index) for images in (batch.real, batch.generated.detach()))
        logits, logits_generated = critic.logits(real), critic.logits(generated)
        on_real, on_generated = values(config, logits, labels), values(config, logits_generated, asked)
        loss = losses.critic_loss(config, on_real, on_generated) + class_loss(config, logits, labels)
        loss = loss + hidden_loss(config, logits_generated, asked)
        for penalty in losses.penalties(config, index, critic, real, generated, labels, players.noise):
            loss = loss + penalty
        players.critic_optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        players.critic_optimizer.step()
        if config.loss == "wgan":
            losses.clip(critic, config.clip or math.inf)
        self.network_evaluations += config.critic_cost(index)
        return CriticUpdate(real, generated, labels, on_real, on_generated, loss)

    def update_generator(self, index: int, batch: Batch) -> GeneratorUpdate:
        config, players = self.config, self.players
        players.critic.requires_grad_(False)
        logits = players.critic.logits(players.add_noise(batch.generated, index))
        loss = losses.generator_loss(config, values(config, logits, batch.asked))
        loss = loss + hidden_loss(config, logits, batch.asked)
        players.generator_optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        players.generator_optimizer.step()
        players.critic.requires_grad_(True)
        update_ema(players.average, players.generator, index, config.ema_decay)
        self.network_evaluations += 1
        return GeneratorUpdate(batch.generated, loss)

    def epochs(self, updates: int) -> float:
        """How often the critic has seen all training images after the generator's ``updates``."""
        return self.players.batches.epochs(self.config.real_batches(updates))

    def check_divergence(self, step: int, measurements: Mapping[str, float]) -> None:
        self.monitor = self.monitor.update(step, self.updates, measurements)

    def evaluate(self, step: int) -> Generator[Event, None, None]:
        scores = yield from evaluate(self.result(step), self.env)
        self.history = [*self.history, (self.epochs(step), scores["fid/generated"])]
        self.monitor = self.monitor.update_classes(step, self.updates, scores)

    def extra_state(self) -> dict[str, Any]:
        spent, history = self.network_evaluations, list(map(list, self.history))
        return {"watch": vars(self.monitor), "spent": spent, "history": history}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        self.monitor, self.network_evaluations = DivergenceMonitor(**state["watch"]), state["spent"]
        self.history = [(epoch, fid) for epoch, fid in state["history"]]

    def result(self, step: int) -> Result:
        networks = self.players.average, self.players.critic
        return Result(self.config, *networks, self.data, self.told, self.quality, step, self.history)


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, None, Result]:
    """Train on ``env.data``; raises Diverged. ``resume`` is the state of an earlier checkpoint of the same training."""
    config = config.resolved()
    data = datasets.load(env.data, env.data_folder)
    check(config, data)
    quality = yield from Quality.obtain(data, env, config.evaluation_samples, config.inception_weights)
    learner = AdversarialLearner(config, env, data, quality)
    yield from loop.run(learner, resume)
    return learner.result(learner.updates)
