"""Joint energy-based models: a classifier whose logits are energies, so that it generates as well (JEM and JEM++).

E(x) = −log Σ_y exp f(x)_y (Grathwohl et al. 2019, arXiv:1912.03263). JEM++ (Yang and Ji 2021, arXiv:2109.09032) begins its
chains from a Gaussian of each class and clamps the gradient of a step: two settings of one trainer.
"""

import copy
from collections.abc import Generator, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from models.data import dataset as datasets
from models.env import Env
from models.events import Event
from models.jem.chains import ReplayedChains, Starts
from models.jem.config import Config
from models.jem.divergence import DivergenceMonitor
from models.jem.evaluation import Result, evaluate, initial_samples, quick_evaluation
from models.jem.losses import joint_loss, warmup_share
from models.jem.measurements import Update, measure
from models.jem.networks import in_mode, marginal, network
from models.jem.pretraining import Pretrained, load_classifier, obtain, same_classes
from models.parts.evaluation import needs
from models.parts.evaluation.quality import Quality
from models.parts.training import loop
from models.parts.training.augmentation import noisy, vary
from models.parts.training.batches import Batches
from models.parts.training.checkpoint import Part
from models.parts.training.loop import Evaluation, LearningRate, Outcome
from models.parts.training.optimisation import seeded_init, update_ema

N_QUICK_EVALUATIONS = 20  # readings of validation images over training; scores of chains cost more, and are rarer


def check(config: Config, data: datasets.Data) -> None:
    """Raises DataError for other classes than the data's, or files of the user's that cannot be used."""
    needs.refuse_unlabelled(data)
    same_classes(config, data)
    needs.refuse(data, config.inception_weights)
    if config.classifier is not None:
        load_classifier(config.classifier, config, data.shape)


class JointLearner:
    """A classifier, its average, and the replay buffer of its chains: a Learner of the training loop."""

    def __init__(self, config: Config, env: Env, data: datasets.Data, quality: Quality, pretrained: Pretrained) -> None:
        self.config, self.env, self.data, self.quality, self.updates = config, env, data, quality, config.updates
        with seeded_init(0):  # overwritten at once
            net = network(config, data.shape)
        net.load_state_dict(pretrained.weights)
        net.to(env.device).train()
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # input gradients are quicker so
        self.network, self.plain = net, copy.deepcopy(net).requires_grad_(False).eval()
        self.average = copy.deepcopy(self.plain)
        self.optimizer = torch.optim.Adam(net.parameters(), config.learning_rate, betas=(config.beta1, 0.999))
        self.learning_rates = (LearningRate(self.optimizer, config.learning_rate, config.warmup + 1),)
        self.batches = Batches.of(data.train, config.batch_size, env.generator("batches"))
        self.chains = ReplayedChains(config, data, Starts.of(config, data, env.device), env.generator("chains"))
        self.monitor = DivergenceMonitor.begin(pretrained.accuracy, config.classes)
        self.parts: dict[str, Part] = {"network": net, "average": self.average, "optimizer": self.optimizer}
        self.parts |= {"batches": self.batches.generator, "chains": self.chains.generator}
        self.evaluations = (
            Evaluation(config.evaluations, lambda step: evaluate(self.result(step), env)),
            Evaluation(N_QUICK_EVALUATIONS, lambda step: quick_evaluation(self.result(step), env)),
        )

    def introduce(self) -> Iterator[Event]:
        yield from self.quality.introduce(self.data, self.network)
        yield from initial_samples(self.result(0), self.env)

    def update(self, index: int) -> Outcome:
        config = self.config
        images, labels = self.batches.draw()
        real = vary(images, config.augmentation, self.batches.generator)
        noisy_real = noisy(real, config.data_noise, self.batches.generator)
        chains = self.chains.run(self.network) if config.generates else None
        on_samples = None if chains is None else self.energies(chains.samples)
        logits = self.network(noisy_real)
        loss, entropy, gap = joint_loss(logits, labels, on_samples, config, warmup_share(config, index))
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), config.parameter_grad_clip)
        self.optimizer.step()
        update_ema(self.average, self.network, index, config.ema_decay)
        update = Update(real, labels, logits, chains, on_samples, loss, entropy, gap, norm)
        figures = partial(measure, config, update, index + 1, self.optimizer.param_groups[0]["lr"])
        return Outcome(None if chains is None else chains.samples, figures)

    def energies(self, samples: Tensor) -> Tensor:
        """E(x) of samples, with gradients in the weights: (n,)."""
        noise = self.config.data_noise if self.config.noised == "both" else 0.0
        with in_mode(self.network, self.config.sampling_mode, frozen=False):
            return marginal(self.network)(noisy(samples, noise, self.batches.generator))

    def check_divergence(self, step: int, measurements: Mapping[str, float]) -> None:
        self.monitor = self.monitor.update(step, self.config, measurements)

    def extra_state(self) -> dict[str, Any]:
        return {"buffer": self.chains.buffer.images, "watch": asdict(self.monitor)}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        self.chains.restore(state["buffer"])
        self.monitor = DivergenceMonitor.of(state["watch"])

    def result(self, step: int) -> Result:
        begins, buffer = self.chains.starts, self.chains.buffer.images
        return Result(self.config, self.average, self.plain, self.data, self.quality, begins, buffer, step)


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, None, Result]:
    """Train on ``env.data``; raises Diverged. ``resume`` is the state of an earlier checkpoint of the same training."""
    data = datasets.load(env.data, env.data_folder)
    same_classes(config, data)
    quality = yield from Quality.obtain(data, env, config.evaluation_samples, config.inception_weights)
    pretrained = yield from obtain(config, data, env)
    learner = JointLearner(config, env, data, quality, pretrained)
    yield from loop.run(learner, resume)
    return learner.result(learner.updates)
