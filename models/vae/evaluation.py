"""Evaluation of a variational autoencoder: new images of each prior, the bound, the code, the head and attacks on it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from models.data import dataset as datasets
from models.env import Env
from models.events import Curve, Event, Facts, Images, Progress, Scalars, Weights
from models.parts.evaluation import likelihood, outliers
from models.parts.evaluation.neighbours import nearest_training_images
from models.parts.evaluation.quality import Quality
from models.parts.networks.blocks import restored
from models.parts.training.reporting import finite
from models.vae import pictures
from models.vae.bound import Pixels, effective_samples, importance_bound, log_weights, terms
from models.vae.config import Config
from models.vae.divergence import References
from models.vae.head import classification
from models.vae.networks import Autoencoder
from models.vae.prior import IMAGES
from models.vae.robustness import attacked

SHOWN = 64  # images in a grid
ACTIVE = 0.01  # variance over images of a dimension's mean: Burda et al. 2016, arXiv:1509.00519
CODES = (1, 10, 50, 200)  # for each image, of the curve of importance bounds
BOUND_IMAGES = 1_000  # validation images of the evidence lower bound, at most
COUNTED = 2_000  # images at a time


@dataclass(frozen=True)
class Result:
    """A trained model and what is needed to report on it."""

    config: Config
    network: Autoencoder
    data: datasets.Data
    quality: Quality
    step: int


def pixels_of(images: Tensor, levels: int, generator: Generator) -> Pixels:
    """Images (n, channels, height, width) in [-1, 1] on the device of ``generator``, which places each within its cell."""
    images = images.to(generator.device)
    cell = torch.empty_like(images).uniform_(generator=generator)
    return Pixels(images, likelihood.ranks(images, levels), cell, levels)


def references(data: datasets.Data) -> References:
    """Of validation images: the error of the mean training image, and the bits of pixels with the frequencies of their place."""
    images, levels = data.validation.floats(), likelihood.levels(data)
    counts, held_out = (_counts(split, levels) for split in (data.train, data.validation))
    frequencies = (counts + 1 / levels) / (len(data.train) + 1)
    nats = -(held_out * frequencies.log()).sum() / held_out.sum()
    error = (data.train.floats().mean(0) - images).square().double().mean()
    return References(float(error), float(nats) / math.log(2))


def _counts(split: datasets.Split, levels: int) -> Tensor:
    """How many images have each level at each place: (channels × height × width, levels)."""
    places = math.prod(split.shape)
    counts = torch.zeros(places * levels, dtype=torch.float64)
    for batch in torch.split(split.images, COUNTED):
        ranks = likelihood.ranks(datasets.floats(batch), levels).flatten(1)
        counts += torch.bincount((torch.arange(places) * levels + ranks).flatten(), minlength=places * levels)
    return counts.view(places, levels)


def fresh_codes(config: Config, network: Autoencoder, data: datasets.Data, n: int, env: Env) -> dict[str, Tensor]:
    """``n`` codes each of the model's own ``prior``, where it has one, and of the ``fitted_prior``, which is fitted here."""
    generator, codes = env.generator("samples"), dict[str, Tensor]()
    if config.variational:
        codes["prior"] = network.draw_prior(n, generator)
    if config.prior == "mixture":
        trained = data.train.floats(torch.arange(min(IMAGES, len(data.train))))
        network.mixture.fit(network.codes(trained), env.generator("mixture").initial_seed())
        codes["fitted_prior"] = network.mixture.draw(n, generator)
    return codes


def evaluate(result: Result, env: Env) -> Iterator[Event]:
    """New images and their scores, reconstructions, the use of the code, and the importance bound."""
    config, network, data, step = result.config, result.network, result.data, result.step
    yield from fresh_images(result, env, {})
    images = data.validation.floats()
    yield pictures.reconstructions(network, images, step)
    yield Scalars(step, finite(latent(result, env) | importance(result, env, config.evaluation_codes)))


def fresh_images(result: Result, env: Env, values: Mapping[str, float]) -> Iterator[Event]:
    """Images of each prior, and their scores with ``values``; ``fid/fresh`` is of the prior that the settings name."""
    config, network, step, quality = result.config, result.network, result.step, result.quality
    codes = fresh_codes(config, network, result.data, max(SHOWN, config.evaluation_samples), env)
    images = {name: network.decode(z) for name, z in codes.items()}
    for name, batch in images.items():
        yield Images(step, f"samples/{name}", batch[:SHOWN])
    fresh = images["fitted_prior" if config.prior == "mixture" else "prior"]
    yield Images(step, "samples/fresh", fresh[:SHOWN])
    scores = {f"fid/{name}": quality.fid(batch) for name, batch in images.items()} | quality.of_new_images(
        "fresh", fresh
    )
    yield Scalars(step, finite({**values, **scores}))


def latent(result: Result, env: Env) -> dict[str, float]:
    """Of validation images: the KL of their codes, dimensions in use, and errors of reconstructions."""
    network, images = result.network, result.data.validation.floats()[:BOUND_IMAGES].to(env.device)
    with torch.no_grad():
        posterior = network.posterior(images)
    error = (network.decode(posterior.mean) - images).square().double().mean()
    values = {"reconstruction/validation": float(error)}
    if result.config.variational:
        values["latent/active"] = float((posterior.mean.var(0) > ACTIVE).sum())
    return values


def importance(result: Result, env: Env, n_codes: int) -> dict[str, float]:
    """The importance bound of the first validation images, in nats and bits per dimension, and the evidence lower bound."""
    if not result.config.variational:
        return {}
    weights, elbo, kl = weigh(result, env, n_codes)
    values = likelihood.scores(importance_bound(weights), result.data.shape)
    values |= likelihood.scores(elbo, result.data.shape, "_elbo")
    return values | {
        "likelihood/effective_samples": float(effective_samples(weights).mean()),
        "latent/kl_validation": kl,
    }


def weigh(result: Result, env: Env, n_codes: int) -> tuple[Tensor, Tensor, float]:
    """Log weights (codes, images) and evidence lower bounds (images,) of validation images, and their mean KL in nats."""
    config, network, generator = result.config, result.network, env.generator("bound")
    images = result.data.validation.floats()[: config.bound_images]
    pixels = pixels_of(images, likelihood.levels(result.data), generator)
    with torch.no_grad():
        posterior = network.posterior(pixels.images)
        bound = terms(network, posterior, posterior.draw(generator), pixels, generator)
        weights = torch.stack([log_weights(network, posterior, pixels, generator) for _ in range(n_codes)])
    kl = sum(divergence.sum(1).mean().item() for divergence in bound.divergences)
    return weights, bound.bound, kl


def report(result: Result, env: Env) -> Iterator[Event]:
    """Scores beside their references, the bound, the code in pictures, the head and attacks, outliers, and the weights."""
    config, network, data, step = result.config, result.network, result.data, result.step
    yield Progress("evaluation", 0, 4)
    yield from fresh_images(result, env, anchors(result, env))
    fresh = network.decode(next(reversed(fresh_codes(config, network, data, SHOWN, env).values())))
    yield from nearest_training_images(fresh[:16], data, step)
    yield Progress("evaluation", 1, 4)
    yield pictures.reconstructions(network, data.validation.floats(), step)
    yield from pictures.code(result.network, data, env, step)
    yield Scalars(step, finite(latent(result, env)))
    if config.variational:
        yield from bounds(result, env)
        yield from strangers(result, env)
    yield Progress("evaluation", 2, 4)
    if network.head is not None:
        yield from classification(config, network, data, env, step)
        yield Progress("evaluation", 3, 4)
        yield from attacked(network, result.quality.judge, data, config.evaluation_samples, env, step)
    yield Weights.of(network)
    yield Progress("evaluation", 4, 4)


def anchors(result: Result, env: Env) -> dict[str, float]:
    """Scores that no prior can pass: reconstructions, and codes of training images with their noise (aggregate)."""
    network, data, quality = result.network, result.data, result.quality
    images = data.train.floats(torch.arange(min(result.config.evaluation_samples, len(data.train)))).to(env.device)
    with torch.no_grad():
        posterior = network.posterior(images)
    values = quality.anchors(data, env.generator("anchors"))
    values["fid/reconstructions"] = quality.fid(network.decode(posterior.mean))
    if result.config.variational:
        values["fid/aggregate"] = quality.fid(network.decode(posterior.draw(env.generator("aggregate"))))
    return values


def bounds(result: Result, env: Env) -> Iterator[Event]:
    """The importance bound over the number of codes, what kind of number it is, and the effective number of weights."""
    weights, elbo, kl = weigh(result, env, CODES[-1])
    shape = result.data.shape
    bits = [likelihood.bits(float(importance_bound(weights[:n]).mean()), shape) for n in CODES]
    effective = [float(effective_samples(weights[:n]).mean()) for n in CODES]
    x = [float(n) for n in CODES]
    yield Curve(
        step := result.step, "likelihood/importance", x, {"bound": bits}, "codes per image", "bits per dimension"
    )
    yield Curve(step, "likelihood/effective", x, {"effective codes": effective}, "codes per image", "effective codes")
    yield Facts({likelihood.KIND: "upper bound", "likelihood/levels": likelihood.levels(result.data)})
    values = importance(result, env, result.config.evaluation_codes)
    values |= {f"likelihood/bits_per_dimension_{n}": value for n, value in zip(CODES, bits, strict=True)}
    yield Scalars(step, finite(values))


def strangers(result: Result, env: Env) -> Iterator[Event]:
    """Does the bound tell images of other data sets? One code each; values below 0.5 are reported as they are."""
    network, levels, generator = result.network, likelihood.levels(result.data), env.generator("strangers' codes")

    def energy(images: Tensor) -> Tensor:
        pixels = pixels_of(images, levels, generator)
        posterior = network.posterior(pixels.images)
        return -terms(network, posterior, posterior.draw(generator), pixels, generator).bound

    n = result.config.evaluation_samples
    yield Scalars(result.step, outliers.auroc(energy, result.data, env, n, {}))


def draw(config: Config, env: Env, weights: Mapping[str, Tensor], n: int) -> Images:
    """``n`` new images by a trained network: of its fitted prior, or of its own where the settings say so."""
    data = datasets.load(env.data, env.data_folder)
    network, generator = restored(Autoencoder(config, data.shape), weights, env.device), env.generator("samples")
    z = network.mixture.draw(n, generator) if config.prior == "mixture" else network.draw_prior(n, generator)
    return Images(0, "samples/new", network.decode(z))
