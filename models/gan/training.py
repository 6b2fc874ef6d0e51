"""Generative adversarial networks: a generator and a critic that learn from each other, by one of four losses.

Goodfellow et al. 2014, arXiv:1406.2661, and Wasserstein's: Arjovsky et al. 2017, arXiv:1701.07875.
"""

import copy
from collections.abc import Generator, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from models.data import dataset as datasets
from models.env import Env
from models.events import Checkpoint, Diverged, Event, Facts, Images, Progress, Scalars
from models.gan import losses
from models.gan.conditioning import misread, told, values
from models.gan.config import RECIPES, Config
from models.gan.divergence import Watch
from models.gan.evaluation import SHOWN, Result, evaluate, samples
from models.gan.networks import Critic, network, through
from models.parts.evaluation import inception
from models.parts.evaluation.quality import Quality
from models.parts.training import optimisation as training
from models.parts.training.augmentation import noisy

SETTLING = 200  # updates before a generator can be expected to draw anything
SLOPES = 16  # points between two images where the critic's slope is looked at during training
PAIRED = 64  # images whose distances from each other are looked at


def optimizer(config: Config, net: nn.Module, learning_rate: float | None) -> torch.optim.Optimizer:
    """Of one of the two networks, with the learning rate that is its own."""
    assert learning_rate is not None and config.beta1 is not None and config.beta2 is not None
    if config.optimizer == "rmsprop":
        return torch.optim.RMSprop(net.parameters(), learning_rate)
    return torch.optim.Adam(net.parameters(), learning_rate, betas=(config.beta1, config.beta2), fused=True)


def apart(images: Tensor) -> float:
    """Mean Euclidean distance of two of the first images."""
    return float(torch.pdist(images[:PAIRED].detach().flatten(1)).mean())


def check(config: Config, data: datasets.Data) -> None:
    """Raises DataError where the data have more classes than the networks have room for, or Inception's weights are not there."""
    if config.labels != "none" and len(data.classes) > config.classes:
        raise datasets.DataError(
            f"{data.name} has {len(data.classes)} classes and classes={config.classes}; say --set classes={len(data.classes)}"
        )
    inception.refuse(config.inception_weights)


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, None, Result]:
    """Train on ``env.data``; raises Diverged. ``resume`` is the state of an earlier checkpoint of the same training.

    An update is one of the generator, with those of the critic before it. The generator's weights are averaged, and the
    average is what is scored and kept.
    """
    config = config.resolved()
    data = datasets.load(env.data, env.data_folder)
    check(config, data)
    quality = yield from Quality.obtain(data, env, config.evaluation_samples)
    with training.seeded(env.generator("weights").initial_seed()):
        generator = network(config, data.shape).to(env.device)
        critic = Critic(config, data.shape).to(env.device)
    average = copy.deepcopy(generator).requires_grad_(False).eval()
    of_generator = optimizer(config, generator, config.generator_learning_rate)
    of_critic = optimizer(config, critic, config.critic_learning_rate)
    batches, chance = env.generator("batches"), env.generator("noise")
    parts: dict[str, training.Part] = {
        "generator": generator,
        "critic": critic,
        "average": average,
        "of_generator": of_generator,
        "of_critic": of_critic,
        "batches": batches,
        "noise": chance,
    }
    result = partial(Result, config, average, critic, data, quality)
    watch, first, spent = Watch(), 0, 0
    history: list[tuple[float, float]] = []  # of fid/generated, over epochs
    if resume is not None:
        training.restore(parts, resume)
        watch, first, spent = Watch(**resume["watch"]), resume["update"], resume["spent"]
        history = [(epoch, fid) for epoch, fid in resume["history"]]
    else:
        yield from quality.introduced(data, generator)
        yield Facts({f"recipe/{name}": str(getattr(config, name)) for name in RECIPES[config.loss]})
        begin = samples(result(0, []), env)
        yield Images(0, "samples/generated", begin[:SHOWN])
        yield Scalars(0, {"fid/untrained": quality.fid(begin)})

    updates = config.updates
    milestones = training.milestones(updates, config.evaluations)
    train_images, train_labels = data.train.images.to(env.device), data.train.labels.to(env.device)
    weights, half = list(critic.parameters()), (config.batch_size + 1) // 2

    def seen(images: Tensor, update: int) -> Tensor:
        """As the critic sees them: under noise that fades, or it would tell the two by their greys alone."""
        return noisy(images, config.instance_noise * max(0.0, 1 - update / updates), chance)

    def generated(labels: Tensor) -> Tensor:
        z = torch.randn(config.batch_size, config.latent_size, generator=chance, device=env.device)
        images: Tensor = generator(told(config, z, labels))
        return through(images) if config.straight_through else images

    rates = ((of_generator, config.generator_learning_rate), (of_critic, config.critic_learning_rate))
    for update in range(first, updates):
        for its_optimizer, rate in rates:
            training.set_learning_rate(its_optimizer, training.learning_rate(rate or 0.0, update, updates))
        for _ in range(config.critic_updates(update)):
            picked = torch.randint(len(train_images), (config.batch_size,), generator=batches, device=env.device)
            real, labels = seen(datasets.floats(train_images[picked]), update), train_labels[picked]
            with torch.no_grad():
                fake = seen(generated(labels), update)
            judged = partial(critic, labels=labels)
            logits = critic.logits(real)
            on_real, on_fake = values(config, logits, labels), judged(fake)
            critic_loss = losses.of_critic(config, on_real, on_fake) + misread(config, logits, labels)
            if config.loss == "wgan_gp":
                mixed = losses.between(real, fake, chance)
                critic_loss = critic_loss + config.penalty * losses.penalty(judged, mixed)
            if config.zero_penalty:
                critic_loss = critic_loss + config.zero_penalty * losses.zero_penalty(
                    partial(critic, labels=labels[:half]), real[:half]
                )
            of_critic.zero_grad()
            critic_loss.backward()  # type: ignore[no-untyped-call]
            of_critic.step()
            if config.loss == "wgan":
                losses.clip(critic, config.clip)
            spent += config.critic_cost

        critic.requires_grad_(False)
        images = generated(labels)
        generator_loss = losses.of_generator(config, judged(seen(images, update)))
        of_generator.zero_grad()
        generator_loss.backward()  # type: ignore[no-untyped-call]
        of_generator.step()
        critic.requires_grad_(True)
        training.follow(average, generator, update, config.ema_decay)
        spent += 2

        done = update + 1
        if training.due(done, updates):
            critic.eval()
            some = losses.between(real[:SLOPES], fake[:SLOPES], chance)
            slopes = losses.gradient_norms(partial(critic, labels=labels[:SLOPES]), some)
            critic.train()
            said = {
                "loss/critic": critic_loss.item(),
                "loss/generator": generator_loss.item(),
                "critic/real": on_real.mean().item(),
                "critic/generated": on_fake.mean().item(),
                "critic/wasserstein": (on_real.mean() - on_fake.mean()).item(),
                "critic/slope": slopes.mean().item(),
                "training/generator_gradient_norm": norm(generator.parameters()),
                "training/critic_gradient_norm": norm(weights),
                "training/diversity": apart(images) / apart(real),
                "training/network_evaluations": float(spent),
                "training/epoch": done * config.batch_size / len(train_images),
            }
            if config.loss == "bce":
                said["discriminator/real"] = on_real.sigmoid().mean().item()
                said["discriminator/generated"] = on_fake.sigmoid().mean().item()
            if config.loss == "wgan":
                said["critic/at_clip"] = losses.share_at_clip(critic, config.clip)
            yield Scalars(done, training.finite(said))
            settled = training.settled(done, updates, SETTLING)
            try:
                watch = watch.look(
                    done, said["loss/critic"], said["loss/generator"], said["training/diversity"], settled
                )
            except Diverged:  # kept: what it looked like when it was lost
                yield Images(done, "samples/training", images[:SHOWN])
                raise
            yield Progress("training", done, updates)
        if done in milestones:
            found = yield from evaluate(result(done, history), env)
            history = [*history, (done * config.batch_size / len(train_images), found["fid/generated"])]
            entropies = found["classes/entropy"], found["classes/entropy_real"]
            watch = watch.read(done, *entropies, training.settled(done, updates, SETTLING))
        yield Checkpoint(
            done,
            partial(training.state, done, parts, watch=asdict(watch), spent=spent, history=list(map(list, history))),
        )
    return result(updates, history)


def norm(weights: Any) -> float:
    """Of the gradients of all weights together."""
    return float(nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None]))
