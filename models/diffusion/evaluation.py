"""Evaluation of a diffusion model: new images, errors by the time, the bound, strangers, and the pictures of the report."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from models.data import dataset as datasets
from models.diffusion import pictures
from models.diffusion.bound import bound, level_decoder
from models.diffusion.config import Config
from models.diffusion.drawing import Cost, asked_labels, draw, standard_noise
from models.diffusion.networks import Diffusion
from models.env import Env
from models.events import Curve, Event, Facts, Images, Progress, Scalars, Weights
from models.parts.evaluation import likelihood, outliers
from models.parts.evaluation.classes import rows
from models.parts.evaluation.neighbours import nearest_training_images
from models.parts.evaluation.quality import Quality
from models.parts.networks.blocks import restored
from models.parts.training.reporting import finite
from samplers.kernel import standard_normal
from samplers.noise import noise_of, noised

SHOWN = 64  # images in a grid
BINS = 6  # of the times, for errors of the predicted noise
ERROR_IMAGES = 256  # validation images of these
STRANGERS = 256  # images of each kind
NOISED_TO = (0.25, 0.5)  # shares of T to which strangers are noised


@dataclass(frozen=True)
class Result:
    """A trained model and what is needed to report on it."""

    config: Config
    network: Diffusion  # averaged weights
    raw: Diffusion  # the weights themselves
    data: datasets.Data
    quality: Quality
    levels: int  # grey levels of the data
    step: int


def fresh(result: Result, network: Diffusion, env: Env) -> Tensor:
    """New images by ``network`` as the settings draw them: of the same noise at every evaluation."""
    config, generator = result.config, env.generator("samples")
    n = max(SHOWN, config.evaluation_samples)
    start = standard_noise(n, result.data.shape, generator)
    return draw(network, config, start, generator, asked_labels(config, config.known_classes, n, env.device))


def evaluate(result: Result, env: Env) -> Generator[Event, None, dict[str, float]]:
    """New images, their scores, and errors by the time; returns the scores."""
    images = fresh(result, result.network, env)
    yield Images(result.step, "samples/fresh", images[:SHOWN])
    values = result.quality.of_new_images("fresh", images)
    yield Scalars(result.step, finite(values | noise_errors(result, env)))
    return values


def noise_errors(result: Result, env: Env) -> dict[str, float]:
    """``noise_error/1`` … ``6``: mean squared error of ε̂ on validation images, in parts of the times from 1 to T."""
    network, generator = result.network, env.generator("errors")
    images = result.data.validation.floats()[:ERROR_IMAGES].to(env.device)
    drawn, share = standard_normal(images, generator), torch.arange(len(images)) / len(images)
    values = {}
    for part in range(BINS):
        times = (1 + (part + share) / BINS * (network.schedule.timesteps - 1)).round().long().to(env.device)
        mixing = network.schedule.at_each(times, images)
        x = noised(images, drawn, mixing)
        with torch.no_grad():
            clean = network.clean(x, times)
        error = (noise_of(clean, x, mixing) - drawn).square().mean()
        values[f"noise_error/{part + 1}"] = float(error)
    return values


def report(result: Result, env: Env) -> Iterator[Event]:
    """Scores beside their references, the bound and its parts, strangers, pictures and the weights."""
    config, network, data, step = result.config, result.network, result.data, result.step
    quality = result.quality
    yield Progress("evaluation", 0, 4)
    images = fresh(result, network, env)
    yield Images(step, "samples/fresh", images[:SHOWN])
    values = quality.of_new_images("fresh", images) | noise_errors(result, env)
    values["fid/raw"] = quality.fid(fresh(result, result.raw, env))
    values |= quality.anchors(data, env.generator("anchors"))
    if (labels := asked_labels(config, config.known_classes, len(images), env.device)) is not None:
        values["classes/read_as_asked"] = quality.read_as(images, labels)
        yield rows(step, "samples/classes", images, labels)
    yield Scalars(step, finite(values | Cost.of(network, config, config.known_classes, env).scores()))
    yield from nearest_training_images(images[:16], data, step)
    yield Progress("evaluation", 1, 4)
    yield from bits(result, env)
    yield Progress("evaluation", 2, 4)
    yield Scalars(step, finite(outliers.auroc(denoising_error(result, env), data, env, STRANGERS, {})))
    yield Progress("evaluation", 3, 4)
    yield from pictures.all_of(config, network, data, env, step)
    yield Weights.of(network)
    yield Progress("evaluation", 4, 4)


def bits(result: Result, env: Env) -> Iterator[Event]:
    """The bound on validation images, what kind of number it is, and what each time adds to it."""
    config, network, step, shape = result.config, result.network, result.step, result.data.shape
    images = result.data.validation.floats()[: config.bound_images].to(env.device)
    schedule = network.schedule

    def clipped(x: Tensor, time: int) -> Tensor:
        return network.denoiser()(x, time).clamp(-1, 1)

    decoder = level_decoder(schedule, result.levels)
    parts = bound(clipped, schedule, images, decoder, config.bound_times, env.generator("bound"))
    yield Facts({likelihood.KIND: "upper bound", "likelihood/levels": result.levels})
    values = likelihood.scores(-parts.nats, shape)
    for name, nats in {"last": parts.last, "steps": parts.steps, "first": parts.first}.items():
        values[f"likelihood/bits_{name}"] = likelihood.bits(-float(nats.double().mean()), shape)
    yield Scalars(step, finite(values))
    x = [float(time) for time in parts.times]
    lines = {"L_{t−1}": [likelihood.bits(-nats, shape) for nats in parts.by_time]}
    yield Curve(step, "likelihood/by_time", x, lines, "t", "bits per dimension", log_y=True)


def denoising_error(result: Result, env: Env) -> outliers.Measure:
    """How far x̂₀ is from an image that was noised part of the way: high for what the model has not seen."""
    network, generator = result.network, env.generator("strangers' noise")

    def error(images: Tensor) -> Tensor:
        total = torch.zeros(len(images), device=images.device)
        for share in NOISED_TO:
            time = max(1, round(share * network.schedule.timesteps))
            drawn = standard_normal(images, generator)
            clean = network.denoiser()(noised(images, drawn, network.schedule.at(time)), time)
            total += (clean - images).square().flatten(1).mean(1)
        return total

    return error


def sample(config: Config, env: Env, weights: Mapping[str, Tensor], n: int) -> Images:
    """``n`` new images by a trained network, as its settings draw them."""
    data = datasets.load(env.data, env.data_folder)
    network, generator = restored(Diffusion(config, data.shape), weights, env.device), env.generator("samples")
    start = standard_noise(n, data.shape, generator)
    images = draw(network, config, start, generator, asked_labels(config, config.known_classes, n, env.device))
    return Images(0, "samples/new", images.cpu())
