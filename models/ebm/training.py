"""Energy-based models of images, E(x): trained by contrastive divergence on the ends of Langevin chains, or by denoising.

The trainer serves energies E(x, y) as well: a label is a further input, held fixed along a chain.
"""

import copy
from collections.abc import Generator, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from models.data import dataset as datasets
from models.ebm.chains import chains
from models.ebm.config import BOUNDS, Config
from models.ebm.denoising_score import denoising_score, deviations
from models.ebm.divergence import DivergenceMonitor
from models.ebm.evaluation import Result, schedule_curve
from models.ebm.measurements import Update, measure
from models.ebm.networks import frozen
from models.ebm.variant import UNCONDITIONAL, Variant
from models.env import Env
from models.events import Event
from models.parts.evaluation import needs
from models.parts.evaluation.classes import of_slots
from models.parts.evaluation.quality import Quality
from models.parts.training import loop
from models.parts.training.augmentation import noisy
from models.parts.training.batches import Batches
from models.parts.training.checkpoint import Part
from models.parts.training.energy_loss import contrastive_divergence
from models.parts.training.loop import Evaluation, LearningRate, Outcome
from models.parts.training.optimisation import seeded_init, update_ema
from samplers import replay, starts


def check(config: Config, data: datasets.Data) -> None:
    """Raises DataError where Inception's weights cannot be used."""
    needs.refuse(data, config.inception_weights)


class EnergyLearner:
    """An energy network, its average, and the replay buffer of its chains: a Learner of the training loop.

    A chain has the label of its real image in the batch, or of its slot in the replay buffer: labels are as frequent among
    the samples as among the images, so that the gap measures images given labels, not labels.
    """

    def __init__(self, config: Config, env: Env, data: datasets.Data, quality: Quality, variant: Variant) -> None:
        self.config, self.env, self.data, self.quality, self.variant = config, env, data, quality, variant
        self.updates = config.updates
        with seeded_init(env.generator("weights").initial_seed()):
            self.network = variant.network(config, data).to(env.device)
        self.average = copy.deepcopy(self.network).requires_grad_(False).eval()
        self.optimizer = torch.optim.Adam(self.network.parameters(), config.learning_rate, betas=(0.0, 0.999))
        self.learning_rates = (LearningRate(self.optimizer, config.learning_rate),)
        self.batches = Batches.of(data.train, config.batch_size, env.generator("batches"))
        self.chains = env.generator("chains")
        replayed = config.start == "replay"
        self.buffer = replay.init(config.buffer_size, data.shape, BOUNDS, self.chains) if replayed else None
        self.slot_labels = of_slots(config.buffer_size, data, env.device)
        self.monitor = DivergenceMonitor()
        self.evaluations = (Evaluation(config.evaluations, lambda step: variant.evaluate(self.result(step), env)),)
        self.parts: dict[str, Part] = {"network": self.network, "average": self.average, "optimizer": self.optimizer}
        self.parts |= {"batches": self.batches.generator, "chains": self.chains}

    def introduce(self) -> Iterator[Event]:
        yield from self.quality.introduce(self.data, self.network)
        yield from schedule_curve(self.config)
        yield from self.variant.initial_samples(self.result(0), self.env)

    def update(self, index: int) -> Outcome:
        config, network = self.config, self.network
        real, labels = self.batches.draw()
        update = (self.denoise if config.objective == "denoising_score" else self.contrast)(real, labels)
        loss = update.loss + self.variant.label_loss(config, network, update.seen, labels)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(network.parameters(), config.parameter_grad_clip)
        self.optimizer.step()
        update_ema(self.average, network, index, config.ema_decay)
        update, rate = update._replace(loss=loss), self.optimizer.param_groups[0]["lr"]
        return Outcome(update.samples, partial(measure, config, update, norm, index + 1, rate))

    def contrast(self, real: Tensor, labels: Tensor) -> Update:
        """Real images against the ends of chains."""
        config, network, energy = self.config, self.network, self.variant.energy
        noisy_real = noisy(real, config.data_noise, self.batches.generator)
        begin, chain_labels, slots = self.chain_starts(labels)
        with frozen(network):
            conditioned = energy(network, chain_labels)
            samples, info = chains(config, conditioned, self.env, begin, config.n_steps, self.chains)
        if self.buffer is not None and slots is not None:
            self.buffer = replay.put(self.buffer, slots, samples)
        sample_noise = config.data_noise if config.noised == "both" else 0.0
        noisy_samples = noisy(samples, sample_noise, self.batches.generator)
        energies = energy(network, torch.cat([labels, chain_labels]))(torch.cat([noisy_real, noisy_samples]))
        on_data, on_samples = energies[: len(real)], energies[len(real) :]
        alpha, penalised = config.energy_regularisation, config.penalised_samples
        loss, gap = contrastive_divergence(on_data, on_samples, alpha, penalised)
        return Update(real, noisy_real, samples, info.gradient, on_data, on_samples, loss, gap)

    def denoise(self, real: Tensor, labels: Tensor) -> Update:
        """Noisy images against the noise in them."""
        config, energy = self.config, self.variant.energy(self.network, labels)
        sigma = deviations(len(real), config.least_noise, config.most_noise, self.batches.generator)
        denoised = denoising_score(energy, real, sigma, self.batches.generator)
        with torch.no_grad():
            on_data = energy(real)
        gap = on_data.mean() - denoised.energies.mean()
        return Update(real, real, denoised.images, denoised.gradient, on_data, denoised.energies, denoised.loss, gap)

    def chain_starts(self, labels: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Where the chains of an update begin, their labels, and their slots in the replay buffer where there is one."""
        n = self.config.chains
        if self.buffer is None:
            return starts.uniform(n, self.data.shape, BOUNDS, self.chains), labels[:n], None
        begin, slots = replay.draw(self.buffer, n, self.config.fresh_share, self.chains)
        return begin, self.slot_labels[slots], slots

    def check_divergence(self, step: int, measurements: Mapping[str, float]) -> None:
        self.monitor = self.monitor.update(step, self.config, measurements)

    def extra_state(self) -> dict[str, Any]:
        return {"buffer": self.buffer and self.buffer.images, "watch": self.monitor.state()}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        self.buffer = self.buffer and replay.Replay(state["buffer"].to(self.env.device), BOUNDS)
        self.monitor = DivergenceMonitor.of(state["watch"])

    def result(self, step: int) -> Result:
        buffer = None if self.buffer is None else self.buffer.images
        return Result(self.config, self.average, self.data, self.quality, buffer, step)


def train(
    config: Config, env: Env, resume: Mapping[str, Any] | None = None, variant: Variant = UNCONDITIONAL
) -> Generator[Event, None, Result]:
    """Train on ``env.data``; raises Diverged. ``resume`` is the state of an earlier checkpoint of the same training."""
    data = datasets.load(env.data, env.data_folder)
    quality = yield from Quality.obtain(data, env, config.evaluation_samples, config.inception_weights)
    learner = EnergyLearner(config, env, data, quality, variant)
    yield from loop.run(learner, resume)
    return learner.result(learner.updates)
