"""Evaluation of an energy-based model: scores of its chains beside reference values, neighbours, energies along a chain."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.data import dataset as datasets
from models.ebm.chains import build, chains
from models.ebm.config import BOUNDS, Config
from models.ebm.likelihood import likelihood
from models.ebm.networks import network
from models.env import Env
from models.events import Curve, Event, Images, Progress, Scalars, Weights
from models.parts.evaluation import outliers
from models.parts.evaluation.gaussians import mixture_images
from models.parts.evaluation.long_chains import LONGEST, along_chain, energy_curve, run_long_chains
from models.parts.evaluation.neighbours import nearest_training_images
from models.parts.evaluation.quality import Quality
from models.parts.networks.blocks import restored
from samplers import starts
from samplers.kernel import Energy

SHOWN = 64  # images in a grid


@dataclass(frozen=True)
class Result:
    """A trained model and what is needed to report on it."""

    config: Config
    network: nn.Module  # the averaged one
    data: datasets.Data
    quality: Quality
    images: Tensor | None  # of the replay buffer
    step: int


def initial_samples(result: Result, env: Env) -> Iterator[Event]:
    """Fresh chains before the first update: where the picture that plays over training begins."""
    yield Images(0, "samples/fresh", sample(result.config, env, result.network, result.data.shape, SHOWN)[1])


def schedule_curve(config: Config) -> Iterator[Event]:
    steps = range(config.n_steps)
    step_size, noise = config.schedules(config.n_steps)
    lines = {"step size a": [step_size(k) for k in steps], "noise s": [noise(k) for k in steps]}
    x = [float(k + 1) for k in steps]
    yield Curve(0, "chain/schedule", x, lines, "step of a chain of training", "value", log_y=True)


def sample(config: Config, env: Env, energy: Energy, shape: tuple[int, ...], n: int) -> tuple[Tensor, Tensor]:
    """Starts and ends of ``n`` fresh chains, the same starts at every call."""
    generator = env.generator("evaluation")
    begin = starts.uniform(n, shape, BOUNDS, generator)
    n_steps = config.evaluation_steps
    return begin, chains(config, energy, env, begin, n_steps, generator)[0]


def draw(config: Config, env: Env, weights: Mapping[str, Tensor], n: int) -> Images:
    """``n`` new images by a trained network: ends of fresh chains."""
    shape = datasets.load(env.data, env.data_folder).shape
    net = restored(network(config, shape), weights, env.device)
    return Images(0, "samples/new", sample(config, env, net, shape, n)[1])


def replayed_slots(config: Config, env: Env, images: Tensor) -> Tensor:
    """Slots of the replay buffer that are scored, the same at every call."""
    order = torch.randperm(len(images), generator=env.generator("replayed"), device=env.device)
    return order[: config.evaluation_samples]


def evaluate(result: Result, env: Env) -> Iterator[Event]:
    """A look during training: is it getting better?"""
    config, quality, step = result.config, result.quality, result.step
    yield Progress("evaluation", 0, 1)
    _, fresh = sample(config, env, result.network, result.data.shape, config.evaluation_samples)
    values = {"fid/fresh": quality.fid(fresh)}
    yield Images(step, "samples/fresh", fresh[:SHOWN])
    if result.images is not None:
        replayed = result.images[replayed_slots(config, env, result.images)]
        values["fid/replay"] = quality.fid(replayed)
        yield Images(step, "samples/replay", replayed[:SHOWN])
    yield Scalars(step, values)


def report(result: Result, env: Env) -> Iterator[Event]:
    """All scores of the finished model beside their anchors, its samples, their nearest neighbours and a chain's energy."""
    config, net, data, step = result.config, result.network, result.data, result.step
    yield Progress("evaluation", 0, 2)
    begin, fresh = sample(config, env, net, data.shape, config.evaluation_samples)
    yield Images(step, "samples/fresh", fresh[:SHOWN])
    replayed = None if result.images is None else result.images[replayed_slots(config, env, result.images)]
    if replayed is not None:
        yield Images(step, "samples/replay", replayed[:SHOWN])
    yield Scalars(step, scores(result, env, begin, fresh, replayed))
    yield Progress("evaluation", 1, 2)
    yield from nearest_training_images(fresh[:16], data, step)
    longest = yield from energy_along_chain(result, env, net, net)
    yield Scalars(step, outliers.auroc(net, data, env, config.evaluation_samples, {"fresh": fresh}))
    if config.annealing_temperatures:
        yield from likelihood(config, net, data, longest, env, step)
    yield Weights.of(net)
    yield Progress("evaluation", 2, 2)


def scores(result: Result, env: Env, begin: Tensor, fresh: Tensor, replayed: Tensor | None) -> dict[str, float]:
    """All scores of the ends of fresh chains and of the replay buffer, and the anchors that they are read against."""
    quality, data = result.quality, result.data
    values = quality.anchors(data, env.generator("anchors")) | {"fid/start": quality.fid(begin)}
    rival = mixture_images(data.train, len(data.classes), quality.n, env.generator("mixture"))
    values["fid/mixture"] = quality.fid(rival)
    if replayed is not None:
        values |= quality.scores("replay", replayed)
    return values | quality.of_new_images("fresh", fresh)


def energy_along_chain(
    result: Result, env: Env, chain_energy: Energy, real_energy: Energy
) -> Generator[Event, None, Tensor]:
    """SHOWN fresh chains far beyond the length at which they are scored: their energies, and some of them on their way.

    Returns where they end, (SHOWN, *shape).

    Numbers say how far to trust them: the slope of the energy up to 1, 4 and 16 times the length of training's chains,
    and, of the second half, split R̂ and the effective sample size of the energy, and how often proposals were accepted.
    """
    config, generator = result.config, env.generator("energy along a chain")
    n_steps = config.evaluation_steps
    x = starts.uniform(SHOWN, result.data.shape, BOUNDS, generator)
    kernel, scored = build(config, chain_energy, env, n_steps)
    _, trained = build(config, chain_energy, env, config.n_steps)
    long = run_long_chains(kernel, x, max(4 * scored, LONGEST * trained), trained, generator)
    yield Scalars(result.step, long.trust)
    yield along_chain(result.step, long)
    real = result.data.validation.floats()[: config.evaluation_samples].to(env.device)
    with torch.no_grad():
        level = float(real_energy(real).mean())
    yield energy_curve(result.step, long.energies.mean(0).tolist(), level, f"step (scored at {scored})", "mean energy")
    return long.end
