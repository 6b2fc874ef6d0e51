"""Evaluation of a variational autoencoder: new images of each prior, the bound, the code, the head and attacks on it."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from models.data import dataset as datasets
from models.env import Env
from models.events import Curve, Event, Facts, Images, Progress, Scalars, Weights
from models.parts.evaluation import likelihood, outliers
from models.parts.evaluation.metrics import squared_error
from models.parts.evaluation.neighbours import nearest_training_images
from models.parts.evaluation.pictures import RECONSTRUCTED, reconstructions
from models.parts.evaluation.quality import Quality
from models.parts.networks.blocks import restored
from models.parts.training.reporting import finite
from models.vae import pictures
from models.vae.bound import Pixels, by_layer, effective_samples, importance_bound, log_weights, terms
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
    levels: int  # grey levels of the data
    step: int


def pixels_of(images: Tensor, levels: int, generator: torch.Generator) -> Pixels:
    """Images (n, channels, height, width) in [-1, 1] on the device of ``generator``, which places each within its cell."""
    images = images.to(generator.device)
    cell = torch.empty_like(images).uniform_(generator=generator)
    return Pixels(images, likelihood.ranks(images, levels), cell, levels)


def references(data: datasets.Data, levels: int) -> References:
    """Of validation images: the error of the mean training image, and the bits of pixels with the frequencies of their place."""
    train, validation = (_counts(split, levels) for split in (data.train, data.validation))
    error = squared_error(data.train.floats().mean(0), data.validation.floats())
    independent = likelihood.independent_bits(train, validation, len(data.validation), data.shape, 1 / levels)
    return References(error, independent)


def _counts(split: datasets.Split, levels: int) -> Tensor:
    """How many images have each level at each place: (channels × height × width, levels)."""
    batches = torch.split(split.images, COUNTED)
    ranks = (likelihood.ranks(datasets.floats(batch), levels).flatten(1) for batch in batches)
    return likelihood.place_counts(ranks, levels)


def fresh_codes(config: Config, network: Autoencoder, data: datasets.Data, n: int, env: Env) -> dict[str, Tensor]:
    """``n`` codes each of the model's own ``prior``, where it has one, and of the ``fitted_prior``, which is fitted here."""
    generator, codes = env.generator("samples"), dict[str, Tensor]()
    if config.variational:
        codes["prior"] = network.draw_prior(n, generator)
    if network.fitted_prior is not None:
        trained = data.train.floats(torch.arange(min(IMAGES, len(data.train))))
        network.fitted_prior.fit(network.codes(trained), env.generator("mixture").initial_seed())
        codes["fitted_prior"] = network.fitted_prior.draw(n, generator)
    return codes


def evaluate(result: Result, env: Env) -> Iterator[Event]:
    """New images and their scores, reconstructions, the use of the code, and the importance bound."""
    yield from fresh_images(result, env, {})
    yield reconstructed(result)
    values = latent(result, env)
    if result.config.variational:
        values |= weigh(result, env, result.config.evaluation_codes).scores(result)
    yield Scalars(result.step, finite(values))


def fresh_images(result: Result, env: Env, values: Mapping[str, float]) -> Generator[Event, None, Tensor]:
    """Images of each prior, and their scores with ``values``; returns those of the prior that the settings name, "fresh"."""
    config, network, step, quality = result.config, result.network, result.step, result.quality
    codes = fresh_codes(config, network, result.data, max(SHOWN, config.evaluation_samples), env)
    images = {name: network.decode(z) for name, z in codes.items()}
    fresh = images["prior" if network.fitted_prior is None else "fitted_prior"]
    for name, batch in {**images, "fresh": fresh}.items():
        yield Images(step, f"samples/{name}", batch[:SHOWN])
    scores = {f"fid/{name}": quality.fid(batch) for name, batch in images.items()}
    yield Scalars(step, finite({**values, **scores, **quality.of_new_images("fresh", fresh)}))
    return fresh


def reconstructed(result: Result) -> Images:
    """Validation images, and what is given back of them."""
    images = result.data.validation.floats()[:RECONSTRUCTED]
    return reconstructions(images, result.network.decode(result.network.codes(images)).cpu(), result.step)


def latent(result: Result, env: Env) -> dict[str, float]:
    """Of validation images: the dimensions of the code in use, and the error of reconstructions."""
    network, images = result.network, result.data.validation.floats()[:BOUND_IMAGES].to(env.device)
    codes = network.codes(images)
    values = {"reconstruction/validation": squared_error(network.decode(codes), images)}
    if result.config.variational:
        values["latent/active"] = float((codes.var(0) > ACTIVE).sum())
        if network.upper is not None:
            with torch.no_grad():
                values["latent/active_2"] = float((network.upper.posterior(codes).mean.var(0) > ACTIVE).sum())
    return values


class Weighed(NamedTuple):
    """Validation images with several codes each."""

    weights: Tensor  # log p(x, z) − log q(z | x), (codes, images)
    elbo: Tensor  # evidence lower bounds, (images,)
    kl: dict[str, float]  # mean, in nats per image, of all layers and of each: the rate
    distortion: float  # mean of −log p(x | z), in nats per image

    def first(self, n_codes: int) -> "Weighed":
        """The same with fewer codes."""
        return self._replace(weights=self.weights[:n_codes])

    def scores(self, result: Result) -> dict[str, float]:
        """The importance bound and the evidence lower bound, in nats and in bits per dimension."""
        values = likelihood.scores(importance_bound(self.weights), result.data.shape)
        values |= likelihood.scores(self.elbo, result.data.shape, "_elbo")
        effective = float(effective_samples(self.weights).mean())
        return values | {"likelihood/effective_samples": effective, "reconstruction/nats": self.distortion} | self.kl


def weigh(result: Result, env: Env, n_codes: int) -> Weighed:
    """The first validation images with ``n_codes`` codes each; with more codes the first are the same."""
    network, generator = result.network, env.generator("bound")
    pixels = pixels_of(result.data.validation.floats()[: result.config.bound_images], result.levels, generator)
    with torch.no_grad():
        posterior = network.posterior(pixels.images)
        bound = terms(network, posterior, posterior.draw(generator), pixels, generator)
        weights = torch.stack([log_weights(network, posterior, pixels, generator) for _ in range(n_codes)])
    kl = by_layer("latent/kl_validation", bound.divergences)
    return Weighed(weights, bound.bound, kl, -bound.log_probability.mean().item())


def report(result: Result, env: Env) -> Iterator[Event]:
    """Scores beside their references, the bound, the code in pictures, the head and attacks, outliers, and the weights."""
    config, network, data, step = result.config, result.network, result.data, result.step
    yield Progress("evaluation", 0, 4)
    fresh = yield from fresh_images(result, env, anchors(result, env))
    yield from nearest_training_images(fresh[:16], data, step)
    yield Progress("evaluation", 1, 4)
    yield reconstructed(result)
    yield from pictures.code(config, network, data, env, step)
    yield Scalars(step, finite(latent(result, env)))
    if config.variational:
        yield from bounds(result, env)
        yield from strangers(result, env)
    yield Progress("evaluation", 2, 4)
    if network.head is not None and data.has_classes:
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
    config, shape, step = result.config, result.data.shape, result.step
    most = weigh(result, env, max(CODES[-1], config.evaluation_codes))
    weights = [most.first(n).weights for n in CODES]
    bits = [likelihood.bits(float(importance_bound(of_codes).mean()), shape) for of_codes in weights]
    effective = [float(effective_samples(of_codes).mean()) for of_codes in weights]
    x = [float(n) for n in CODES]
    yield Curve(step, "likelihood/importance", x, {"bound": bits}, "codes per image", "bits per dimension")
    yield Curve(step, "likelihood/effective", x, {"effective codes": effective}, "codes per image", "effective codes")
    yield Facts({likelihood.KIND: "upper bound", "likelihood/levels": result.levels})
    values = most.first(config.evaluation_codes).scores(result)
    values |= {f"likelihood/bits_per_dimension_{n}": value for n, value in zip(CODES, bits, strict=True)}
    yield Scalars(step, finite(values))


def strangers(result: Result, env: Env) -> Iterator[Event]:
    """Does the bound tell images of other data sets? One code each; values below 0.5 are reported as they are."""
    network, levels, generator = result.network, result.levels, env.generator("strangers' codes")

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
    return Images(0, "samples/new", network.decode(network.draw_codes(n, generator)))


def traverse(config: Config, env: Env, weights: Mapping[str, Tensor]) -> Images:
    """A traversal of the code of one validation image by a trained network; the seed chooses the image."""
    data = datasets.load(env.data, env.data_folder)
    return pictures.traversed(config, restored(Autoencoder(config, data.shape), weights, env.device), data, env)
