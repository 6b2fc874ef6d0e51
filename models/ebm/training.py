"""Energy-based models of images, E(x): trained by contrastive divergence on the ends of Langevin chains.

The trainer serves energies E(x, y) as well: a label is a further input, held fixed along a chain.
"""

import copy
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from models.data import dataset as datasets
from models.ebm.chains import chains as run_chains
from models.ebm.config import BOUNDS, Config
from models.ebm.evaluation import SHOWN, Result, evaluate, schedule_curve, untrained
from models.ebm.networks import frozen, network
from models.env import Env
from models.events import Checkpoint, Diverged, Event, Images, Progress, Scalars
from models.parts.evaluation.classes import of_slots
from models.parts.evaluation.quality import Quality
from models.parts.training import optimisation as training
from models.parts.training.augmentation import noisy
from models.parts.training.energy_divergence import SETTLING, Watch, saturation
from samplers import replay, starts
from samplers.kernel import Energy


@dataclass(frozen=True)
class Kind:
    """What energies with labels do otherwise than energies without."""

    network: Callable[[Any, datasets.Data], nn.Module]  # config and data -> the untrained network
    given: Callable[[nn.Module, Tensor], Energy]  # network and labels (n,) -> energy of n images, the labels held fixed
    untrained: Callable[..., Iterator[Event]]
    evaluate: Callable[..., Iterator[Event]]


PLAIN = Kind(lambda config, data: network(config, data.shape), lambda net, labels: net, untrained, evaluate)


def contrastive_divergence(on_data: Tensor, on_samples: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Loss and energy gap, E⁺ − E⁻ + α(E⁺² + E⁻²) and E⁺ − E⁻: means over the energies (n,) of data and of samples.

    The gradient of the gap is that of the negative log-likelihood, were the samples the model's own (Hinton 2002); the
    squares keep energies near 0, which the gap alone leaves free to drift (Du and Mordatch 2019, section 3.3).
    """
    gap = on_data.mean() - on_samples.mean()
    return gap + alpha * (on_data.square().mean() + on_samples.square().mean()), gap


def train(
    config: Config, env: Env, resume: Mapping[str, Any] | None = None, kind: Kind = PLAIN
) -> Generator[Event, None, Result]:
    """Train on ``env.data``; raises Diverged. ``resume`` is the state of an earlier checkpoint of the same training.

    A chain has the label of a real image beside it, or of its slot in the replay buffer: labels are as frequent among the
    samples as among the images, so that the gap measures images given labels, not labels.
    """
    data = datasets.load(env.data, env.data_folder)
    quality = yield from Quality.obtain(data, env, config.evaluation_samples)
    with training.seeded(env.generator("weights").initial_seed()):
        net = kind.network(config, data).to(env.device)
    average = copy.deepcopy(net).requires_grad_(False).eval()
    optimizer = torch.optim.Adam(net.parameters(), config.learning_rate, betas=(0.0, 0.999))
    batches, chains = env.generator("batches"), env.generator("chains")
    buffer = replay.init(config.buffer_size, data.shape, BOUNDS, chains) if config.start == "replay" else None
    parts: dict[str, training.Part] = {
        "network": net,
        "average": average,
        "optimizer": optimizer,
        "batches": batches,
        "chains": chains,
    }
    watch, first = Watch(), 0
    if resume is not None:
        training.restore(parts, resume)
        buffer = buffer and replay.Replay(resume["buffer"].to(env.device), BOUNDS)
        watch, first = Watch(**resume["watch"]), resume["update"]
    else:
        yield from quality.introduced(data, net)
        yield from schedule_curve(config)
        yield from kind.untrained(config, env, average, data)

    updates = config.updates
    milestones = training.milestones(updates, config.evaluations)
    train_images, train_labels = data.train.images.to(env.device), data.train.labels.to(env.device)
    slot_labels = of_slots(config.buffer_size, data, env.device)

    for update in range(first, updates):
        training.set_learning_rate(optimizer, training.learning_rate(config.learning_rate, update, updates))
        picked = torch.randint(len(train_images), (config.batch_size,), generator=batches, device=env.device)
        real = datasets.floats(train_images[picked])
        learned = noisy(real, config.data_noise, batches)
        labels = train_labels[picked]
        if buffer is None:
            begin, asked = starts.uniform(config.batch_size, data.shape, BOUNDS, chains), labels
        else:
            begin, slots = replay.draw(buffer, config.batch_size, config.fresh_share, chains)
            asked = slot_labels[slots]
        with frozen(net):
            samples, info = run_chains(config, kind.given(net, asked), env, begin, config.n_steps, chains)
        if buffer is not None:
            buffer = replay.put(buffer, slots, samples)

        both = kind.given(net, torch.cat([labels, asked]))(torch.cat([learned, samples]))
        on_data, on_samples = both.chunk(2)
        loss, gap = contrastive_divergence(on_data, on_samples, config.energy_regularisation)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(net.parameters(), config.parameter_grad_clip)
        optimizer.step()
        training.follow(average, net, update, config.ema_decay)

        done = update + 1
        if training.due(done, updates):
            black_or_white, of_data = saturation(samples), saturation(real)
            values = {
                "loss": loss.item(),
                "energy/data": on_data.mean().item(),
                "energy/samples": on_samples.mean().item(),
                "energy/gap": gap.item(),
                "chain/gradient_norm": info.gradient.flatten(1).norm(dim=1).mean().item(),
                "chain/saturation": black_or_white,
                "chain/saturation_data": of_data,
                "training/gradient_norm": norm.item(),
                "training/network_evaluations": float(done * (config.n_steps + 2)),
                "training/learning_rate": optimizer.param_groups[0]["lr"],
            }
            if config.grad_clip is not None:
                values["chain/clip_share"] = (info.gradient.abs() >= config.grad_clip).float().mean().item()
            yield Scalars(done, training.finite(values))
            try:
                watch = watch.look(
                    done,
                    config.energy_regularisation,
                    values["energy/data"],
                    values["energy/samples"],
                    black_or_white - of_data,
                    settled=training.settled(done, updates, SETTLING),
                )
            except Diverged:  # kept: what it looked like when it was lost
                yield Images(done, "samples/training", samples[:SHOWN])
                raise
            yield Progress("training", done, updates)
        if done in milestones:
            yield from kind.evaluate(config, env, average, data, quality, buffer and buffer.images, done)

        kept = {"buffer": buffer and buffer.images, "watch": vars(watch)}
        yield Checkpoint(done, partial(training.state, done, parts, **kept))
    return Result(config, average, data, quality, None if buffer is None else buffer.images, updates)
