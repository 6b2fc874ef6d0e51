"""Discrete autoencoders of images: an encoder, a codebook, a decoder, trained to reconstruct images from their tokens."""

from collections.abc import Generator, Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from models.data import dataset as datasets
from models.dvae.config import Config
from models.dvae.divergence import DivergenceMonitor
from models.dvae.evaluation import Result, evaluate, introduce
from models.dvae.networks import Autoencoder, map_size, network
from models.dvae.quantisers import perplexity, usage
from models.env import Env
from models.events import Event
from models.parts.evaluation import needs
from models.parts.evaluation.metrics import squared_error
from models.parts.training import loop
from models.parts.training.augmentation import deform
from models.parts.training.batches import Batches
from models.parts.training.checkpoint import Part
from models.parts.training.loop import Evaluation, LearningRate, Outcome
from models.parts.training.optimisation import seeded_init

GRADIENT_CLIP = 1.0  # largest norm of the gradient in the weights, of either network


def check(config: Config, data: datasets.Data) -> None:
    """Raises DataError for images that cannot be halved as often as the settings say, or unusable Inception weights."""
    map_size(config, data.shape)
    needs.refuse(data, config.inception_weights)


class AutoencoderLearner:
    """A discrete autoencoder: a Learner of the training loop. It does not look at labels.

    With ``config.plain`` the same network without a quantiser learns beside it from the same batches: what the tokens cost.
    """

    def __init__(self, config: Config, env: Env, data: datasets.Data) -> None:
        self.config, self.data, self.updates = config, data, config.updates
        with seeded_init(env.generator("weights").initial_seed()):
            self.discrete = network(config, data.shape)
            self.plain = Autoencoder(config, data.shape, plain=True) if config.plain else None
        networks = {"discrete": self.discrete} | ({} if self.plain is None else {"plain": self.plain})
        self.networks = nn.ModuleDict(networks).to(env.device)
        self.optimizer = torch.optim.Adam(self.networks.parameters(), config.learning_rate)
        self.learning_rates = (LearningRate(self.optimizer, config.learning_rate),)
        self.batches = Batches.of(data.train, config.batch_size, env.generator("batches"))
        self.codes, self.monitor = env.generator("codes"), DivergenceMonitor()
        self.evaluations = (Evaluation(config.evaluations, lambda step: evaluate(self.discrete, data, step)),)
        self.mean_image_error = squared_error(data.train.floats().mean(0), data.validation.floats())
        self.parts: dict[str, Part] = {"networks": self.networks, "optimizer": self.optimizer}
        self.parts |= {"batches": self.batches.generator, "codes": self.codes}

    def introduce(self) -> Iterator[Event]:
        yield from introduce(self.config, self.discrete, self.data)

    def update(self, index: int) -> Outcome:
        images, _ = self.batches.draw()
        deformation, progress = self.config.deformation, index / self.updates
        encoded = deform(images, deformation, self.batches.generator) if deformation else images
        reconstructions, tokens, penalty = self.discrete.learn(encoded, progress, self.codes)
        error = F.mse_loss(reconstructions, images)
        loss = total = error + penalty
        plain_error = None
        if self.plain is not None:
            plain_error = F.mse_loss(self.plain.learn(encoded, progress, self.codes)[0], images)
            total = loss + plain_error
        self.optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        norms = [nn.utils.clip_grad_norm_(net.parameters(), GRADIENT_CLIP) for net in self.networks.values()]
        self.optimizer.step()

        def measure() -> dict[str, float]:
            return {
                "loss": loss.item(),
                "loss/reconstruction": error.item(),
                "loss/penalty": penalty.item(),
                "codes/perplexity": perplexity(tokens, self.config.codebook_size),
                "codes/usage": usage(tokens, self.config.codebook_size),
                "training/gradient_norm": norms[0].item(),
                "training/learning_rate": self.optimizer.param_groups[0]["lr"],
            } | ({} if plain_error is None else {"loss/plain": plain_error.item()})

        return Outcome(None, measure)

    def check_divergence(self, step: int, measurements: Mapping[str, float]) -> None:
        self.monitor = self.monitor.update(step, self.updates, measurements, self.mean_image_error)

    def extra_state(self) -> dict[str, Any]:
        return {"watch": vars(self.monitor)}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        self.monitor = DivergenceMonitor(**state["watch"])

    def result(self, step: int) -> Result:
        return Result(self.config, self.discrete, self.plain, self.data, step)


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, None, Result]:
    """Train on ``env.data``; raises Diverged. ``resume`` is the state of an earlier checkpoint of the same training."""
    data = datasets.load(env.data, env.data_folder)
    yield data.used
    learner = AutoencoderLearner(config, env, data)
    yield from loop.run(learner, resume)
    return learner.result(learner.updates)
