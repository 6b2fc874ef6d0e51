"""Updates of a GAN and a WGAN in a trial, records and offers of checkpoints and all, against a plain loop over the same networks.

The plain loop does what any script would: draw a batch, both losses, both steps, the average of the generator's weights. Both
advance in turns in one process and one thread, and processor time is counted, so that what else runs harms both alike.
"""

import copy
import math
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks._figure import Figure, empty_folder
from models.data import dataset as datasets
from models.gan import losses, networks, players
from models.gan.conditioning import class_loss, generator_input, values
from models.gan.config import Config
from models.gan.networks import Critic
from models.parts.training import optimisation
from orchestrator.delivery.outbox import Outbox
from orchestrator.messages import Pulse, Task
from orchestrator.worker.trial import run_trial
from studies._gan import base

UPDATES = 2_000
TARGET = 0.97  # of the plain loop's updates a second


def measure(quick: bool = False) -> Iterator[Figure]:
    """Updates a second of either, in a trial and in the loop."""
    before, updates = torch.get_num_threads(), UPDATES // 10 if quick else UPDATES
    torch.set_num_threads(1)
    try:
        with empty_folder() as folder:
            for loss in ("bce", "wgan"):
                config = base((1, 8, 8), loss).model_copy(update={"evaluations": 1, "long_phase": 0})  # type: ignore[arg-type]
                config = config.model_copy(update={"network_evaluations": config.cost(1) * updates})
                ours, plain = _both(config, folder)
                ratio = plain / ours
                yield Figure(
                    f"updates a second of loss={loss} in a trial, 8×8, {config.width} channels, {config.batch_size} images",
                    f"{1 / ours:.0f} ({ratio:.3f} times the {1 / plain:.0f} of a plain loop)",
                    f">= {TARGET:g} times the plain loop's",
                    ratio >= TARGET,
                )
    finally:
        torch.set_num_threads(before)


def _both(config: Config, folder: Path) -> tuple[float, float]:
    """Processor time of an update, in seconds: in a trial, and in a plain loop."""
    place = folder / config.loss
    outbox = Outbox(place)
    outbox.begin("key", "trial 0", {}, {})
    outbox.close()
    task = Task(
        sweep="benchmark",
        study="gan",
        trial=0,
        config=config.model_dump(mode="json"),
        data="digits",
        data_folder=str(folder),
        cache_folder=str(folder),
        folder=str(place),
        seed=0,
        device="cpu",
        threads=1,
        checkpoint_seconds=1e9,
    )
    plain, trial = _plain(config, folder), run_trial(task)
    spent, counted, loop, done, began = 0.0, 0, 0.0, None, 0.0
    for message in trial:
        if not (isinstance(message, Pulse) and message.stage == "training"):
            continue
        now = time.process_time()
        if done is not None:
            spent, counted = spent + now - began, counted + message.done - done
            for _ in range(message.done - done):
                next(plain)
            loop += time.process_time() - now
        if message.done == message.total:
            break
        done, began = message.done, time.process_time()
    trial.close()
    return spent / counted, loop / counted


def _plain(config: Config, folder: Path) -> Iterator[None]:
    """The same training as a script would have it; an update at each step."""
    config = config.resolved()
    data = datasets.load("digits", folder)
    torch.manual_seed(0)
    generator, critic = networks.network(config, data.shape), Critic(config, data.shape)
    average = copy.deepcopy(generator)
    ours: Any = players.optimizer(config, generator, config.generator_learning_rate or 0.0)
    theirs: Any = players.optimizer(config, critic, config.critic_learning_rate or 0.0)
    update = 0
    while True:
        for left in reversed(range(config.n_critic or 1)):
            picked = torch.randint(len(data.train), (config.batch_size,))
            real, labels = datasets.floats(data.train.images[picked]), data.train.labels[picked]
            with torch.set_grad_enabled(left == 0):  # the generator learns from the last images
                images = generator(generator_input(config, torch.randn(config.batch_size, config.latent_size), labels))
            logits = critic.logits(real)
            loss = losses.critic_loss(config, values(config, logits, labels), critic(images.detach(), labels))
            loss = loss + class_loss(config, logits, labels)
            if config.zero_penalty and update % config.zero_penalty_every == 0:
                half = config.batch_size // 2
                judged = partial(critic, labels=labels[:half])
                weight = config.zero_penalty * config.zero_penalty_every
                loss = loss + weight * losses.zero_penalty(judged, real[:half])
            theirs.zero_grad()
            loss.backward()
            theirs.step()
            if config.loss == "wgan":
                losses.clip(critic, config.clip or math.inf)
        critic.requires_grad_(False)
        loss = losses.generator_loss(config, critic(images, labels))
        ours.zero_grad()
        loss.backward()
        ours.step()
        critic.requires_grad_(True)
        optimisation.update_ema(average, generator, update, config.ema_decay)
        update += 1
        yield
