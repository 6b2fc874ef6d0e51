"""Joint energy-based models: a classifier whose logits are energies, so that it generates as well (JEM and JEM++).

E(x) = −log Σ_y exp f(x)_y (Grathwohl et al. 2019, arXiv:1912.03263). JEM++ (Yang and Ji 2021, arXiv:2109.09032) begins its
chains from a Gaussian of each class and clamps the gradient of a step: two settings of one trainer.
"""

import copy
import math
from collections.abc import Generator, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models._env import Env
from models._events import Checkpoint, DataUsed, Diverged, Event, Facts, Images, Matrix, Progress, Scalars
from models._jem_chains import Starts, kernel, slot_labels
from models._jem_config import BOUNDS, Config, network
from models._jem_looks import SHOWN, Result, draw, evaluate, glance, report, untrained
from models._jem_nets import conditional, in_mode, marginal
from models._jem_pretraining import obtain
from models._jem_watch import Watch
from models.parts import data as datasets
from models.parts import judge as judges
from models.parts.augmentation import vary
from models.parts.quality import Quality
from samplers import replay
from samplers.kernel import run

__all__ = ["Config", "Result", "draw", "network", "report", "train"]

SETTLING = 100  # updates before chains can look like data at all
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


def learning_rate(config: Config, update: int) -> float:
    """At ``update``: up over the warm-up, then down to a twentieth by a cosine."""
    return (
        config.learning_rate * warm_at(config, update) * (0.525 + 0.475 * math.cos(math.pi * update / config.updates))
    )


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, None, Result]:
    """Train on ``env.data``; raises Diverged. ``resume`` is the state of an earlier checkpoint of the same training."""
    data = datasets.load(env.data, env.data_folder)
    if len(data.classes) != config.classes:
        raise datasets.DataError(f"{data.name} has {len(data.classes)} classes; say --set classes={len(data.classes)}")
    yield DataUsed(data.name, data.source, data.digest, data.sizes)
    yield Progress("judge", 0, 1)
    judge = judges.obtain(data, env.cache_folder, env.device)
    quality = Quality.of(judge, data, config.evaluation_samples)
    pretrained = yield from obtain(config, data, env)
    begins = Starts.of(config, data, env.device)
    with torch.random.fork_rng(devices=[]):
        net = network(config, data.shape)
    net.load_state_dict(pretrained.weights)
    net.to(env.device).train()
    plain = copy.deepcopy(net).requires_grad_(False).eval()
    average = copy.deepcopy(plain)
    optimizer = torch.optim.Adam(net.parameters(), config.learning_rate)
    batches, chains = env.generator("batches"), env.generator("chains")
    of_slots = slot_labels(config, data).to(env.device)
    accuracy, chance = (pretrained.history["accuracy_validation"] or [0.0])[-1], 1 / config.classes
    watch, first = Watch(max(accuracy, chance), chance, max(accuracy, chance)), 0
    if resume is not None:
        net.load_state_dict(resume["network"])
        average.load_state_dict(resume["average"])
        optimizer.load_state_dict(resume["optimizer"])
        batches.set_state(resume["batches"].cpu())
        chains.set_state(resume["chains"].cpu())
        buffer = replay.Replay(resume["buffer"].to(env.device), BOUNDS)
        watch, first = Watch.of(resume["watch"]), resume["update"]
    else:
        buffer = replay.Replay(begins.draw(of_slots, chains), BOUNDS)
        parameters = sum(weight.numel() for weight in net.parameters())
        yield Facts({"judge/hash": judge.digest, "judge/images": judge.n_train, "network/parameters": parameters})
        yield Scalars(0, {"judge/accuracy": judge.accuracy})
        yield Matrix(0, "judge/confusion", judge.confusion(data.validation), data.classes, data.classes)
        yield from untrained(config, env, average, data, begins)

    updates = config.updates
    report_every = max(1, updates // 100)
    milestones = {updates * part // config.evaluations for part in range(1, config.evaluations)} - {0}
    glances = {updates * part // GLANCES for part in range(1, GLANCES)} - {0} - milestones
    train_images, train_labels = data.train.images.to(env.device), data.train.labels.to(env.device)
    result = partial(Result, config, average, plain, data, quality, begins)

    for update in range(first, updates):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, update)
        picked = torch.randint(len(train_images), (config.batch_size,), generator=batches, device=env.device)
        real, labels = vary(datasets.floats(train_images[picked]), config.augmentation, batches), train_labels[picked]
        noisy = real + config.data_noise * torch.empty_like(real).normal_(generator=batches)
        samples = on_samples = None
        if config.generates:
            begin, slots = replay.draw(
                buffer,
                config.batch_size,
                config.fresh_share,
                chains,
                lambda slots, generator: begins.draw(of_slots[slots], generator),
            )
            with in_mode(net, config.sampling_mode):
                energy = marginal(net) if config.target == "marginal" else conditional(net, of_slots[slots])
                samples, info = run(kernel(config, energy), begin, config.n_steps, chains)
            buffer = replay.put(buffer, slots, samples)
            with in_mode(net, config.sampling_mode, frozen=False):
                on_samples = marginal(net)(samples)
        logits = net(noisy)
        loss, entropy, gap = losses(logits, labels, on_samples, config, warm_at(config, update))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(net.parameters(), config.parameter_grad_clip)
        optimizer.step()
        with torch.no_grad():  # the average follows closely at first
            keep = min(config.ema_decay, (1 + update) / (10 + update))
            torch._foreach_lerp_(list(average.parameters()), list(net.parameters()), 1 - keep)
            for mine, theirs in zip(average.buffers(), net.buffers(), strict=True):
                mine.copy_(theirs)

        done = update + 1
        if done % report_every == 0 or done == updates:
            values = {
                "loss": loss.item(),
                "loss/classification": entropy.item(),
                "accuracy/train": (logits.argmax(1) == labels).float().mean().item(),
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
                    "chain/saturation": (samples.abs() > 0.99).float().mean().item(),
                    "chain/saturation_data": (real.abs() > 0.99).float().mean().item(),
                }
                excess = values["chain/saturation"] - values["chain/saturation_data"]
                if config.sampler == "proximal":
                    values["chain/clip_share"] = (info.gradient.abs() >= config.clamp).float().mean().item()
            yield Scalars(done, {name: value for name, value in values.items() if math.isfinite(value)})
            settled = done > max(SETTLING, updates // 4)
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
        yield Checkpoint(done, partial(_state, done, net, average, optimizer, batches, chains, buffer.images, watch))
    return result(buffer.images, updates)


def _state(
    update: int,
    net: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: torch.Generator,
    chains: torch.Generator,
    buffer: Tensor,
    watch: Watch,
) -> dict[str, Any]:
    """All that decides how training goes on."""
    return {
        "update": update,
        "network": net.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "batches": batches.get_state(),
        "chains": chains.get_state(),
        "buffer": buffer,
        "watch": watch.state(),
    }
