"""Joint energy-based models: a classifier whose logits are energies, so that it generates as well (JEM and JEM++).

E(x) = −log Σ_y exp f(x)_y (Grathwohl et al. 2019, arXiv:1912.03263). JEM++ (Yang and Ji 2021, arXiv:2109.09032) begins its
chains from a Gaussian of each class and clamps the gradient of a step: two settings of one trainer.
"""

import copy
from collections.abc import Generator, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.data import dataset as datasets
from models.env import Env
from models.events import Checkpoint, Diverged, Event, Images, Progress, Scalars
from models.jem.chains import Starts, kernel
from models.jem.config import BOUNDS, Config
from models.jem.divergence import Watch
from models.jem.evaluation import SHOWN, Result, evaluate, glance, untrained
from models.jem.networks import conditional, in_mode, marginal, network
from models.jem.pretraining import load_classifier, obtain
from models.parts.evaluation.classes import accuracy, of_slots
from models.parts.evaluation.quality import Quality
from models.parts.training import optimisation as training
from models.parts.training.augmentation import noisy, vary
from models.parts.training.energy_divergence import SETTLING, saturation
from samplers import replay
from samplers.kernel import run

GLANCES = 20  # looks at validation images over training; scores of chains are dearer, and rarer


def losses(
    logits: Tensor, labels: Tensor, on_samples: Tensor | None, config: Config, warm: float
) -> tuple[Tensor, ...]:
    """Loss, cross-entropy and energy gap E⁺ − E⁻: from the logits (n, classes) of real images and the energies (m,) of samples.

    log p(x, y) = log p(y|x) + log p(x): the gradient of the gap is that of −log p(x), were the samples the model's own.
    Where there are no samples the gap is 0. ``warm`` in [0, 1] multiplies the weight of the likelihood term.
    """
    entropy = F.cross_entropy(logits, labels)
    if on_samples is None:
        return config.classification_weight * entropy, entropy, torch.zeros_like(entropy)
    on_data = -logits.logsumexp(1)
    gap = on_data.mean() - on_samples.mean()
    squares = on_data.square().mean() + on_samples.square().mean()
    likelihood = gap + config.energy_regularisation * squares
    return config.classification_weight * entropy + warm * config.likelihood_weight * likelihood, entropy, gap


def warm_at(config: Config, update: int) -> float:
    """From 0 to 1 over the warm-up."""
    return min(1.0, (update + 1) / (config.warmup + 1))


def same_classes(config: Config, data: datasets.Data) -> None:
    """Raises DataError where ``config`` has other classes than the data."""
    if len(data.classes) != config.classes:
        raise datasets.DataError(f"{data.name} has {len(data.classes)} classes; say --set classes={len(data.classes)}")


def check(config: Config, data: datasets.Data) -> None:
    """Raises DataError for other classes than the data's, or a classifier of the user's that does not fit."""
    same_classes(config, data)
    if config.classifier is not None:
        load_classifier(config.classifier, config, data.shape)


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, None, Result]:
    """Train on ``env.data``; raises Diverged. ``resume`` is the state of an earlier checkpoint of the same training."""
    data = datasets.load(env.data, env.data_folder)
    same_classes(config, data)
    quality = yield from Quality.obtain(data, env, config.evaluation_samples)
    pretrained = yield from obtain(config, data, env)
    begins = Starts.of(config, data, env.device)
    with training.seeded(0):  # overwritten at once
        net = network(config, data.shape)
    net.load_state_dict(pretrained.weights)
    net.to(env.device).train()
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # input gradients are the quicker for it
    plain = copy.deepcopy(net).requires_grad_(False).eval()
    average = copy.deepcopy(plain)
    optimizer = torch.optim.Adam(net.parameters(), config.learning_rate, betas=(config.beta1, 0.999))
    batches, chains = env.generator("batches"), env.generator("chains")
    parts: dict[str, training.Part] = {
        "network": net,
        "average": average,
        "optimizer": optimizer,
        "batches": batches,
        "chains": chains,
    }
    slot_labels = of_slots(config.buffer_size, data, env.device)
    chance = 1 / config.classes
    before = max((pretrained.history["accuracy_validation"] or [0.0])[-1], chance)
    watch, first = Watch(before, chance, before), 0
    if resume is not None:
        training.restore(parts, resume)
        buffer = replay.Replay(resume["buffer"].to(env.device), BOUNDS)
        watch, first = Watch.of(resume["watch"]), resume["update"]
    else:
        buffer = replay.Replay(begins.draw(slot_labels, chains), BOUNDS)
        yield from quality.introduced(data, net)
        yield from untrained(config, env, average, data, begins)

    updates = config.updates
    milestones = training.milestones(updates, config.evaluations)
    glances = training.milestones(updates, GLANCES) - milestones
    train_images, train_labels = data.train.images.to(env.device), data.train.labels.to(env.device)
    result = partial(Result, config, average, plain, data, quality, begins)

    for update in range(first, updates):
        rate = training.learning_rate(config.learning_rate, update, updates, config.warmup + 1)
        training.set_learning_rate(optimizer, rate)
        picked = torch.randint(len(train_images), (config.batch_size,), generator=batches, device=env.device)
        real, labels = vary(datasets.floats(train_images[picked]), config.augmentation, batches), train_labels[picked]
        learned = noisy(real, config.data_noise, batches)
        samples = on_samples = None
        if config.generates:
            begin, slots = replay.draw(
                buffer,
                config.batch_size,
                config.fresh_share,
                chains,
                lambda slots, generator: begins.draw(slot_labels[slots], generator),
            )
            with in_mode(net, config.sampling_mode):
                energy = marginal(net) if config.target == "marginal" else conditional(net, slot_labels[slots])
                samples, info = run(kernel(config, energy), begin, config.n_steps, chains)
            buffer = replay.put(buffer, slots, samples)
            seen = noisy(samples, config.data_noise, batches) if config.noised == "both" else samples
            with in_mode(net, config.sampling_mode, frozen=False):
                on_samples = marginal(net)(seen)
        logits = net(learned)
        loss, entropy, gap = losses(logits, labels, on_samples, config, warm_at(config, update))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(net.parameters(), config.parameter_grad_clip)
        optimizer.step()
        training.follow(average, net, update, config.ema_decay)

        done = update + 1
        if training.due(done, updates):
            values = {
                "loss": loss.item(),
                "loss/classification": entropy.item(),
                "accuracy/train": accuracy(logits, labels),
                "training/gradient_norm": norm.item(),
                "training/network_evaluations": float(done * (config.n_steps + 2 if config.generates else 1)),
                "training/learning_rate": optimizer.param_groups[0]["lr"],
            }
            energies, excess = None, 0.0
            if samples is not None and on_samples is not None:
                energies = -logits.logsumexp(1).mean().item(), on_samples.mean().item()
                values |= {
                    "loss/likelihood": gap.item(),
                    "energy/data": energies[0],
                    "energy/samples": energies[1],
                    "chain/gradient_norm": info.gradient.flatten(1).norm(dim=1).mean().item(),
                    "chain/moved": (samples - begin).flatten(1).norm(dim=1).mean().item(),
                    "chain/saturation": saturation(samples),
                    "chain/saturation_data": saturation(real),
                }
                excess = values["chain/saturation"] - values["chain/saturation_data"]
                if config.sampler == "proximal":
                    values["chain/clip_share"] = (info.gradient.abs() >= config.clamp).float().mean().item()
            yield Scalars(done, training.finite(values))
            settled = training.settled(done, updates, SETTLING)
            alpha = config.energy_regularisation
            try:
                watch = watch.look(done, alpha, values["loss"], values["accuracy/train"], energies, excess, settled)
            except Diverged:  # kept: what it looked like when it was lost
                if samples is not None:
                    yield Images(done, "samples/training", samples[:SHOWN])
                raise
            yield Progress("training", done, updates)
        if done in milestones:
            yield from evaluate(result(buffer.images, done), env)
        elif done in glances:
            yield Scalars(done, glance(result(buffer.images, done), env))
        kept = {"buffer": buffer.images, "watch": asdict(watch)}
        yield Checkpoint(done, partial(training.state, done, parts, **kept))
    return result(buffer.images, updates)
