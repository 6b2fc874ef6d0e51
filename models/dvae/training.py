"""Discrete autoencoders of images: an encoder, a codebook, a decoder, trained to give images back from their tokens."""

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.data import dataset as datasets
from models.dvae.config import Config
from models.dvae.evaluation import Result, look, squared_error
from models.dvae.networks import Autoencoder, map_size, network
from models.dvae.quantisers import perplexity, usage
from models.env import Env
from models.events import Checkpoint, Diverged, Event, Facts, Progress, Scalars
from models.parts.networks.blocks import n_weights
from models.parts.training import optimisation as training
from models.parts.training.augmentation import deform

SETTLING = 200  # updates before a training can be lost
COLLAPSED = 1.5  # perplexity: hardly more than one code in use
PATIENCE = 3  # reports in a row
GRADIENT_CLIP = 1.0  # largest norm of the gradient in the weights, of either network


@dataclass(frozen=True)
class Watch:
    """What was seen so far of the signs that a training is lost. ``look`` returns the next watch, or raises Diverged."""

    collapsed: int = 0
    useless: int = 0

    def look(self, step: int, loss: float, error: float, of_mean: float, in_use: float, settled: bool) -> "Watch":
        """Judge a report: loss, squared error, that of the mean image, and the perplexity of a batch's tokens."""
        if not math.isfinite(loss):
            raise Diverged("non_finite", step, f"the loss is {loss}")
        watch = Watch(
            self.collapsed + 1 if settled and in_use < COLLAPSED else 0,
            self.useless + 1 if settled and error > of_mean else 0,
        )
        if watch.collapsed >= PATIENCE:
            raise Diverged("codebook_collapse", step, f"the perplexity of the codes is {in_use:.2f}: all is one token")
        if watch.useless >= PATIENCE:
            raise Diverged("worse_than_mean", step, f"error {error:.3g}; the mean image alone has {of_mean:.3g}")
        return watch


def check(config: Config, data: datasets.Data) -> None:
    """Raises DataError for images that cannot be halved as often as asked."""
    map_size(config, data.shape)


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, None, Result]:
    """Train on ``env.data``, whose labels are not looked at; raises Diverged. ``resume`` is the state of a checkpoint.

    With ``config.plain`` the same network without a quantiser learns beside it from the same batches: what the tokens cost.
    """
    data = datasets.load(env.data, env.data_folder)
    yield data.used
    with training.seeded(env.generator("weights").initial_seed()):
        nets = nn.ModuleDict({"discrete": network(config, data.shape)})
        if config.plain:
            nets["plain"] = Autoencoder(config, data.shape, plain=True)
    nets.to(env.device)
    optimizer = torch.optim.Adam(nets.parameters(), config.learning_rate)
    batches, codes = env.generator("batches"), env.generator("codes")
    parts: dict[str, training.Part] = {"networks": nets, "optimizer": optimizer, "batches": batches, "codes": codes}
    watch, first = Watch(), 0
    if resume is not None:
        training.restore(parts, resume)
        watch, first = Watch(**resume["watch"]), resume["update"]
    discrete = nets["discrete"]
    assert isinstance(discrete, Autoencoder)
    if resume is None:
        rows, columns = discrete.map
        bits = rows * columns * math.log2(config.codebook_size)
        size = n_weights(discrete) - (n_weights(discrete.prior) if discrete.prior else 0)
        yield Facts({"network/parameters": size, "codes/tokens": rows * columns, "codes/bits": round(bits, 1)})
        yield from look(discrete, data, 0)

    updates = config.updates
    milestones = training.milestones(updates, config.evaluations)
    train_images = data.train.images.to(env.device)
    of_mean = squared_error(data.train.floats().mean(0), data.validation.floats())

    for update in range(first, updates):
        training.set_learning_rate(optimizer, training.learning_rate(config.learning_rate, update, updates))
        picked = torch.randint(len(train_images), (config.batch_size,), generator=batches, device=env.device)
        images = datasets.floats(train_images[picked])
        encoded = deform(images, config.deformation, batches) if config.deformation else images
        errors: dict[str, Tensor] = {}
        penalty, tokens = images.new_zeros(()), picked
        for name, net in nets.items():
            assert isinstance(net, Autoencoder)
            given_back, its_tokens, its_penalty = net.learn(encoded, update / updates, codes)
            errors[name] = F.mse_loss(given_back, images)
            if net is discrete:
                penalty, tokens = its_penalty, its_tokens
        loss = errors["discrete"] + penalty
        optimizer.zero_grad()
        (loss + errors["plain"] if config.plain else loss).backward()  # type: ignore[no-untyped-call]
        norms = {name: nn.utils.clip_grad_norm_(net.parameters(), GRADIENT_CLIP) for name, net in nets.items()}
        optimizer.step()

        done = update + 1
        if training.due(done, updates):
            in_use = perplexity(tokens, config.codebook_size)
            values = {
                "loss": loss.item(),
                "loss/reconstruction": errors["discrete"].item(),
                "loss/penalty": penalty.item(),
                "codes/perplexity": in_use,
                "codes/usage": usage(tokens, config.codebook_size),
                "training/gradient_norm": norms["discrete"].item(),
                "training/learning_rate": optimizer.param_groups[0]["lr"],
            }
            if config.plain:
                values["loss/plain"] = errors["plain"].item()
            yield Scalars(done, training.finite(values))
            settled = training.settled(done, updates, SETTLING)
            watch = watch.look(done, values["loss"], values["loss/reconstruction"], of_mean, in_use, settled)
            yield Progress("training", done, updates)
        if done in milestones:
            yield from look(discrete, data, done)
        yield Checkpoint(done, partial(training.state, done, parts, watch=vars(watch)))
    plain = nets["plain"] if config.plain else None
    assert plain is None or isinstance(plain, Autoencoder)
    return Result(config, discrete, plain, data, updates)
