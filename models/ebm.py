"""Energy-based models of images, E(x): trained by contrastive divergence on the ends of Langevin chains."""

import copy
import math
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from models._env import Env
from models._events import Checkpoint, Curve, DataUsed, Diverged, Event, Facts, Images, Matrix, Progress, Scalars, Weights
from models.parts import data as datasets
from models.parts import judge as judges
from models.parts.divergence import Watch
from models.parts.nets import Activation, EnergyResNet
from models.parts.neighbours import nearest
from models.parts.quality import Quality
from samplers import langevin, replay, schedules, starts
from samplers.kernel import Kernel, Schedule, run, walk

BOUNDS = (-1.0, 1.0)  # of every pixel of data and of every chain
SHOWN = 64  # images in a grid


class Config(BaseModel):
    """One energy-based model and how it is trained. All fields are settings of a trial."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    blocks: int = Field(2, ge=1, le=64, description="residual blocks")
    width: int = Field(16, ge=1, le=1024, description="channels of the first stage; each later stage has twice as many")
    activation: Activation = Field("silu", description="smooth ones give smooth gradients to follow")
    spectral_norm: bool = Field(False, description="bound the Lipschitz constant of every layer")

    step_size: float = Field(10.0, gt=0, description="a in x ← x − a∇E(x) + s·N(0, I), its mean over a chain")
    n_steps: int = Field(20, ge=1, le=10_000, description="Langevin steps per update")
    noise_start: float = Field(0.005, ge=0, description="s at the start of a chain")
    noise_end: float = Field(0.005, ge=0, description="s at the end of a chain (schedule constant ignores it)")
    schedule: Literal["constant", "geometric", "linear", "cosine"] = Field("constant", description="way from start to end")
    coupled: bool = Field(False, description="the step size follows the noise, a_t ∝ s_t²: one temperature all along")
    grad_clip: float | None = Field(0.1, gt=0, description="cut each element of the gradient of E in x")

    start: Literal["noise", "replay"] = Field("replay", description="where the chains of an update begin")
    fresh_share: float = Field(0.05, ge=0, le=1, description="share of replayed chains that begin anew from noise")
    buffer_size: int = Field(5_000, ge=1, description="chains in the replay buffer")

    learning_rate: float = Field(1e-3, gt=0, description="of Adam, after a warm-up; falls to a twentieth by a cosine")
    energy_regularisation: float = Field(0.1, ge=0, description="α in L = E⁺ − E⁻ + α(E⁺² + E⁻²)")
    parameter_grad_clip: float = Field(0.1, gt=0, description="largest norm of the gradient in the weights")
    data_noise: float = Field(0.03, ge=0, description="deviation of the noise on real images")
    ema_decay: float = Field(0.995, ge=0, lt=1, description="of the averaged weights that are sampled and kept")
    batch_size: int = Field(64, ge=2, description="real images, and as many chains, per update")

    network_evaluations: int = Field(20_000, ge=1, description="budget: batches through the network, a step being one")
    evaluations: int = Field(4, ge=1, le=1000, description="times that fresh chains are scored, evenly over training")
    evaluation_samples: int = Field(256, ge=16, description="chains that are scored; FID depends on it")
    evaluation_length: int | None = Field(None, ge=1, description="their length, in n_steps (1 from noise, 10 with replay)")

    @property
    def updates(self) -> int:
        """Updates that the budget pays for: each costs its chain's steps, one forward and one backward pass."""
        return max(1, self.network_evaluations // (self.n_steps + 2))

    @property
    def evaluation_steps(self) -> int:
        """Steps of the chains that are scored: as many as training's chains have behind them.

        Chains from noise are n_steps old. A replayed chain is 1 / fresh_share updates old on average in the long run; ten
        is what a buffer reaches in a short training (measured: longer and shorter both score worse).
        """
        return self.n_steps * (self.evaluation_length or (1 if self.start == "noise" else 10))

    @property
    def reach(self) -> float:
        """The farthest that clipped gradients can carry a pixel in one chain of training; infinite without clipping."""
        if self.grad_clip is None:
            return math.inf
        step_size, _ = self.schedules(self.n_steps)
        return self.grad_clip * sum(step_size(k) for k in range(self.n_steps))

    def schedules(self, n_steps: int) -> tuple[Schedule, Schedule]:
        """Step size and noise over a chain of ``n_steps``.

        Coupled or not, the mean step size is the same: what is compared is the shape, not how far a chain may go. The
        textbook rule a_t = ε_t²/2, s_t = ε_t is coupled, with half the mean of ε² for a step size.
        """
        noise = schedules.build(self.schedule, self.noise_start, self.noise_end, n_steps)
        if not self.coupled:
            return lambda step: self.step_size, noise
        scale = self.step_size * n_steps / sum(noise(k) ** 2 for k in range(n_steps))
        return lambda step: scale * noise(step) ** 2, noise

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if self.coupled and self.noise_start == 0:
            raise ValueError("coupled needs noise_start above 0: the step size follows the noise")
        if self.schedule == "geometric" and not (self.noise_start > 0 and self.noise_end > 0):
            raise ValueError("schedule=geometric needs noise_start and noise_end above 0; linear can reach 0")
        width = BOUNDS[1] - BOUNDS[0]
        if self.reach < width * (1 - 1e-9):
            raise ValueError(
                f"chains cannot cross the data range: steps of at most step_size × grad_clip carry a pixel {self.reach:.2g} "
                f"of the {width:g} from black to white; raise step_size, n_steps or grad_clip"
            )
        if self.start == "replay" and self.buffer_size < self.batch_size:
            raise ValueError(f"buffer_size={self.buffer_size} is below batch_size={self.batch_size}; raise it")
        return self


@dataclass(frozen=True)
class Result:
    """A trained model and what is needed to report on it."""

    config: Config
    network: nn.Module  # the averaged one
    data: datasets.Data
    quality: Quality
    images: Tensor | None  # of the replay buffer
    step: int


def network(config: Config, shape: tuple[int, int, int]) -> EnergyResNet:
    """The untrained E(x) for images of ``shape``; its weights come from torch's global generator."""
    return EnergyResNet(shape, config.blocks, config.width, config.activation, config.spectral_norm)


def kernel(config: Config, energy: nn.Module, n_steps: int) -> Kernel:
    """The Langevin kernel of ``config`` with its schedules spread over ``n_steps``."""
    step_size, noise = config.schedules(n_steps)
    return langevin.build(energy, step_size, noise, config.grad_clip, BOUNDS)


@contextmanager
def frozen(network: nn.Module) -> Iterator[nn.Module]:
    """The network without gradients in its weights: what chains need, and less work than with them."""
    network.requires_grad_(False)
    try:
        yield network
    finally:
        network.requires_grad_(True)


def saturation(x: Tensor) -> float:
    """Share of pixels within half a percent of black or white."""
    return float((x.abs() > 0.99).float().mean())


def learning_rate(config: Config, update: int) -> float:
    """At ``update``, from 0: up in 50 updates, then down to a twentieth by a cosine."""
    warm = min(1.0, (update + 1) / 50)
    return config.learning_rate * warm * (0.525 + 0.475 * math.cos(math.pi * update / config.updates))


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, None, Result]:
    """Train on ``env.data``; raises Diverged. ``resume`` is the state of an earlier checkpoint of the same training."""
    data = datasets.load(env.data, env.data_folder)
    yield DataUsed(data.name, data.source, data.digest, data.sizes)
    yield Progress("judge", 0, 1)
    judge = judges.obtain(data, env.cache_folder, env.device)
    quality = Quality.of(judge, data, config.evaluation_samples)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(env.generator("weights").initial_seed())
        net = network(config, data.shape).to(env.device)
    average = copy.deepcopy(net).requires_grad_(False)
    optimizer = torch.optim.Adam(net.parameters(), config.learning_rate, betas=(0.0, 0.999))
    batches, chains = env.generator("batches"), env.generator("chains")
    buffer = replay.init(config.buffer_size, data.shape, BOUNDS, chains) if config.start == "replay" else None
    watch, first = Watch(), 0
    if resume is not None:
        net.load_state_dict(resume["network"])
        average.load_state_dict(resume["average"])
        optimizer.load_state_dict(resume["optimizer"])
        batches.set_state(resume["batches"].cpu())
        chains.set_state(resume["chains"].cpu())
        buffer = buffer and replay.Replay(resume["buffer"].to(env.device), BOUNDS)
        watch, first = Watch(**resume["watch"]), resume["update"]
    else:
        parameters = sum(weight.numel() for weight in net.parameters())
        yield Facts({"judge/hash": judge.digest, "judge/images": judge.n_train, "network/parameters": parameters})
        yield Scalars(0, {"judge/accuracy": judge.accuracy})
        yield Matrix(0, "judge/confusion", judge.confusion(data.validation), data.classes, data.classes)
        yield from _schedule_curve(config)

    updates = config.updates
    report_every = max(1, updates // 100)
    milestones = {updates * part // config.evaluations for part in range(1, config.evaluations)} - {0}
    train_images = data.train.images.to(env.device)

    for update in range(first, updates):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, update)
        picked = torch.randint(len(train_images), (config.batch_size,), generator=batches, device=env.device)
        real = datasets.floats(train_images[picked])
        noisy = real + config.data_noise * torch.empty_like(real).normal_(generator=batches)
        if buffer is None:
            begin = starts.uniform(config.batch_size, data.shape, BOUNDS, chains)
        else:
            begin, slots = replay.draw(buffer, config.batch_size, config.fresh_share, chains)
        with frozen(net):
            samples, info = run(kernel(config, net, config.n_steps), begin, config.n_steps, chains)
        if buffer is not None:
            buffer = replay.put(buffer, slots, samples)

        on_data, on_samples = net(torch.cat([noisy, samples])).chunk(2)
        gap = on_data.mean() - on_samples.mean()
        loss = gap + config.energy_regularisation * (on_data.square().mean() + on_samples.square().mean())
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(net.parameters(), config.parameter_grad_clip)
        optimizer.step()
        with torch.no_grad():  # the average follows closely at first, when the weights are far from anything good
            keep = min(config.ema_decay, (1 + update) / (10 + update))
            torch._foreach_lerp_(list(average.parameters()), list(net.parameters()), 1 - keep)
            for mine, theirs in zip(average.buffers(), net.buffers(), strict=True):
                mine.copy_(theirs)

        done = update + 1
        if done % report_every == 0 or done == updates:
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
                "training/learning_rate": optimizer.param_groups[0]["lr"],
            }
            if config.grad_clip is not None:
                values["chain/clip_share"] = (info.gradient.abs() >= config.grad_clip).float().mean().item()
            yield Scalars(done, {name: value for name, value in values.items() if math.isfinite(value)})
            try:
                watch = watch.look(
                    done,
                    config.energy_regularisation,
                    values["energy/data"],
                    values["energy/samples"],
                    black_or_white - of_data,
                    settled=done > updates // 4,
                )
            except Diverged:  # kept: what it looked like when it was lost
                yield Images(done, "samples/training", samples[:SHOWN])
                raise
            yield Progress("training", done, updates)
        if done in milestones:
            yield from _evaluate(config, env, average, data, quality, buffer, done)

        def state(done: int = done) -> Mapping[str, Any]:
            return {
                "update": done,
                "network": net.state_dict(),
                "average": average.state_dict(),
                "optimizer": optimizer.state_dict(),
                "batches": batches.get_state(),
                "chains": chains.get_state(),
                "buffer": None if buffer is None else buffer.images,
                "watch": vars(watch),
            }

        yield Checkpoint(done, state)
    return Result(config, average, data, quality, None if buffer is None else buffer.images, updates)


def _schedule_curve(config: Config) -> Iterator[Event]:
    steps = range(config.n_steps)
    step_size, noise = config.schedules(config.n_steps)
    lines = {"step size a": [step_size(k) for k in steps], "noise s": [noise(k) for k in steps]}
    x = [float(k + 1) for k in steps]
    yield Curve(0, "chain/schedule", x, lines, "step of a chain of training", "value", log_y=True)


def _sample(config: Config, env: Env, energy: nn.Module, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Starts and ends of fresh chains, the same starts at every call."""
    generator = env.generator("evaluation")
    begin = starts.uniform(config.evaluation_samples, shape, BOUNDS, generator)
    n_steps = config.evaluation_steps
    return begin, run(kernel(config, energy, n_steps), begin, n_steps, generator)[0]


def _replayed(config: Config, env: Env, images: Tensor) -> Tensor:
    some = torch.randperm(len(images), generator=env.generator("replayed"), device=env.device)
    return images[some[: config.evaluation_samples]]


def _evaluate(
    config: Config,
    env: Env,
    energy: nn.Module,
    data: datasets.Data,
    quality: Quality,
    buffer: replay.Replay | None,
    step: int,
) -> Iterator[Event]:
    """A look during training: is it getting better?"""
    yield Progress("evaluation", 0, 1)
    _, fresh = _sample(config, env, energy, data.shape)
    values = {"fid/fresh": quality.fid(fresh)}
    yield Images(step, "samples/fresh", fresh[:SHOWN])
    if buffer is not None:
        replayed = _replayed(config, env, buffer.images)
        values["fid/replay"] = quality.fid(replayed)
        yield Images(step, "samples/replay", replayed[:SHOWN])
    yield Scalars(step, values)


def report(result: Result, env: Env) -> Iterator[Event]:
    """All scores of the finished model beside their anchors, its samples, their nearest neighbours and a chain's energy."""
    config, quality, step = result.config, result.quality, result.step
    yield Progress("evaluation", 0, 2)
    begin, fresh = _sample(config, env, result.network, result.data.shape)
    yield Images(step, "samples/fresh", fresh[:SHOWN])
    values = quality.anchors(result.data, env.generator("anchors")) | {"fid/start": quality.fid(begin)}
    if result.images is not None:
        replayed = _replayed(config, env, result.images)
        values |= quality.scores("replay", replayed)
        yield Images(step, "samples/replay", replayed[:SHOWN])
    yield Scalars(step, values | quality.scores("fresh", fresh))
    yield Progress("evaluation", 1, 2)
    yield from _neighbours(fresh[:16], result.data, step)
    yield from _energy_along_chain(result, env)
    yield Weights({name: tensor.detach().cpu() for name, tensor in result.network.state_dict().items()})
    yield Progress("evaluation", 2, 2)


def _neighbours(fresh: Tensor, data: datasets.Data, step: int) -> Iterator[Event]:
    """Each sample (upper row) above the training image nearest to it in pixels (lower row): is it a copy?"""
    found, distances = nearest(fresh.cpu(), data.train.floats())
    pairs = torch.stack([fresh.cpu(), data.train.floats(found)]).unflatten(1, (-1, 8)).transpose(0, 1).flatten(0, 2)
    yield Images(step, "samples/nearest_training", pairs, columns=8)
    yield Scalars(step, {"distance/nearest_training": float(distances.mean())})


def _energy_along_chain(result: Result, env: Env) -> Iterator[Event]:
    """Mean energy of fresh chains over four times their length, beside the mean energy of real images."""
    config, generator = result.config, env.generator("energy along a chain")
    n_steps = config.evaluation_steps
    x = starts.uniform(SHOWN, result.data.shape, BOUNDS, generator)
    kept = kernel(config, result.network, n_steps)
    energies = [float(info.energy.mean()) for _, info in walk(kept, x, 4 * n_steps, generator)]
    real = result.data.validation.floats()[: config.evaluation_samples].to(env.device)
    with torch.no_grad():
        level = float(result.network(real).mean())
    lines = {"fresh chains": energies, "real images": [level] * len(energies)}
    axis = [float(k) for k in range(len(energies))]
    yield Curve(result.step, "chain/energy", axis, lines, f"step (scored at {n_steps})", "mean energy")
