"""Variational autoencoders of images: an encoder, a random code, a decoder, trained by a lower bound on the likelihood."""

import math
from collections.abc import Generator, Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.data import dataset as datasets
from models.env import Env
from models.events import Event
from models.parts.evaluation import likelihood, needs
from models.parts.evaluation.quality import Quality
from models.parts.training import loop
from models.parts.training.batches import Batches
from models.parts.training.checkpoint import Part
from models.parts.training.loop import Evaluation, LearningRate, Outcome
from models.parts.training.optimisation import seeded_init
from models.vae.bound import Pixels, by_layer, importance_bound, log_weights, terms
from models.vae.config import Config
from models.vae.divergence import DivergenceMonitor
from models.vae.evaluation import Result, evaluate, pixels_of, references
from models.vae.networks import Gaussian, network

GRADIENT_CLIP = 200.0  # largest norm of the gradient in the weights, of a loss in nats per image


def check(config: Config, data: datasets.Data) -> None:
    """Raises DataError for a likelihood of two levels where images are grey, a head with another number of classes or
    with nothing to learn, or unusable Inception weights.
    """
    needs.refuse(data, config.inception_weights)
    if config.likelihood == "bernoulli" and (n := likelihood.levels(data)) > 2:
        raise datasets.DataError(
            f"likelihood=bernoulli is for images of two grey levels, and '{data.name}' has {n}; use --set likelihood=logistic"
        )
    if config.head == "with" and not data.has_classes:
        raise datasets.DataError(f"'{data.name}' has no classes that a head could learn; use --set head=none")
    if config.head != "none" and data.has_classes and config.classes != len(data.classes):
        raise datasets.DataError(
            f"the head has {config.classes} classes and '{data.name}' has {len(data.classes)}; "
            f"use --set classes={len(data.classes)}"
        )


class AutoencoderLearner:
    """A variational or plain autoencoder: a Learner of the training loop. Only the head looks at labels."""

    def __init__(self, config: Config, env: Env, data: datasets.Data, quality: Quality) -> None:
        self.config, self.data, self.quality, self.updates = config, data, quality, config.updates
        with seeded_init(env.generator("weights").initial_seed()):
            self.network = network(config, data.shape).to(env.device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), config.learning_rate)
        self.learning_rates = (LearningRate(self.optimizer, config.learning_rate),)
        self.batches = Batches.of(data.train, config.batch_size, env.generator("batches"))
        self.codes, self.monitor = env.generator("codes"), DivergenceMonitor()
        self.levels = likelihood.levels(data)
        self.references = references(data, self.levels)
        self.evaluations = (Evaluation(config.evaluations, lambda step: evaluate(self.result(step), env)),)
        self.parts: dict[str, Part] = {"network": self.network, "optimizer": self.optimizer}
        self.parts |= {"batches": self.batches.generator, "codes": self.codes}

    def introduce(self) -> Iterator[Event]:
        yield from self.quality.introduce(self.data, self.network)

    def beta(self, index: int) -> float:
        """The weight of the KL divergence in update number ``index``."""
        rising = self.config.annealing * self.updates
        return self.config.beta * min(1.0, (index + 1) / rising if rising else 1.0)

    def update(self, index: int) -> Outcome:
        config, beta = self.config, self.beta(index)
        images, labels = self.batches.draw()
        pixels = pixels_of(images, self.levels, self.codes)
        posterior = self.network.posterior(images)
        z = posterior.draw(self.codes) if config.variational else posterior.mean
        parts = terms(self.network, posterior, z, pixels, self.codes)
        if config.variational:
            loss = self.negative_bound(posterior, parts.log_probability, parts.divergences, pixels, beta)
        else:
            loss = -parts.log_probability.mean()
        total = loss
        if config.head == "with" and self.network.head is not None:
            total = loss + config.head_weight * F.cross_entropy(self.network.head(posterior.mean), labels)
        self.optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_CLIP)
        self.optimizer.step()

        def measure() -> dict[str, float]:
            with torch.no_grad():
                error = (self.network(z) - images).square().mean()
            values = {
                "loss": loss.item(),
                "loss/reconstruction": -parts.log_probability.mean().item(),
                "loss/squared_error": error.item(),
                "likelihood/training_nats": parts.log_probability.max().item(),
                "training/gradient_norm": norm.item(),
                "training/learning_rate": self.optimizer.param_groups[0]["lr"],
            }
            if config.variational:
                values |= by_layer("latent/kl", parts.divergences)
                values["likelihood/training_bits"] = likelihood.bits(parts.bound.mean().item(), self.data.shape)
                values["latent/beta"] = beta
            return values

        return Outcome(None, measure)

    def negative_bound(
        self, posterior: Gaussian, log_probability: Tensor, divergences: tuple[Tensor, ...], pixels: Pixels, beta: float
    ) -> Tensor:
        """The loss of a batch, in nats per image. A dimension's KL below ``free_nats`` costs as much as that."""
        config = self.config
        if config.bound == "importance":
            weights = [
                log_weights(self.network, posterior, pixels, self.codes, beta) for _ in range(config.importance_samples)
            ]
            return -importance_bound(torch.stack(weights)).mean()
        kl = sum(kl.mean(0).clamp_min(config.free_nats).sum() for kl in divergences)
        return beta * kl - log_probability.mean()

    def check_divergence(self, step: int, measurements: Mapping[str, float]) -> None:
        annealed = math.isclose(self.beta(step - 1), self.config.beta)
        self.monitor = self.monitor.update(step, self.updates, annealed, measurements, self.references)

    def extra_state(self) -> dict[str, Any]:
        return {"watch": vars(self.monitor)}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        self.monitor = DivergenceMonitor(**state["watch"])

    def result(self, step: int) -> Result:
        return Result(self.config, self.network, self.data, self.quality, self.levels, step)


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, None, Result]:
    """Train on ``env.data``; raises Diverged. ``resume`` is the state of an earlier checkpoint of the same training."""
    data = datasets.load(env.data, env.data_folder)
    quality = yield from Quality.obtain(data, env, config.evaluation_samples, config.inception_weights)
    learner = AutoencoderLearner(config, env, data, quality)
    yield from loop.run(learner, resume)
    return learner.result(learner.updates)
