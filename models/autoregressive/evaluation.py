"""Evaluation of an autoregressive model: exact bits of validation images, scores of new ones, and pictures of both."""

import math
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from models.autoregressive import pictures
from models.autoregressive.config import Config
from models.autoregressive.networks import Network, load, nats_by_place
from models.autoregressive.references import constant_bits, table_digits
from models.autoregressive.sampling import Sharpness, draw_images
from models.autoregressive.strangers import strangers
from models.data import dataset as datasets
from models.env import Env
from models.events import Event, Facts, Images, Progress, Scalars, Weights
from models.parts.evaluation.likelihood import KIND, levels, scores
from models.parts.evaluation.neighbours import nearest_training_images
from models.parts.evaluation.quality import Quality
from models.parts.networks.blocks import n_weights
from models.parts.training.cost import counted
from models.parts.training.reporting import finite

SHOWN = 64  # images in a grid
N_EVALUATED = 1_000  # images of a split whose bits are taken during training, at most


@dataclass(frozen=True, eq=False)
class Result:
    """A trained model and what is needed to report on it."""

    config: Config
    network: Network
    data: datasets.Data
    quality: Quality
    step: int
    independent: float  # bits per dimension of independent pixels
    best: float  # bits per dimension of validation images at the best evaluation; inf before the first


def introduce(result: Result, env: Env) -> Iterator[Event]:
    """What the numbers are, what the data lose as tokens, and images of the untrained network."""
    net, data = result.network, result.data
    distortion = net.tokens.distortion(data.validation.floats()[:N_EVALUATED])
    rounded = "the images as they are" if distortion < 1e-6 else f"images rounded to {net.tokens.levels} levels"
    facts: dict[str, str | int | float] = {
        KIND: "exact",
        "likelihood/of": rounded,
        "data/levels": levels(data),
        "tokens/vocabulary": net.tokens.size,
    }
    facts |= {"tokens/places": net.tokens.places, "network/table_digits": table_digits(data, net.tokens.levels)}
    yield Facts(facts)
    yield Scalars(0, {"tokens/distortion": distortion})
    yield Images(0, "samples/fresh", _samples(result, env, SHOWN))
    yield from pictures.introduce(net)


def evaluate(result: Result, env: Env) -> Generator[Event, None, float]:
    """A look during training: bits of validation images, which are returned, and new images."""
    yield Progress("evaluation", 0, 1)
    values = _bits(result, result.data.validation.floats()[:N_EVALUATED])
    yield Images(result.step, "samples/fresh", _samples(result, env, SHOWN))
    yield Scalars(result.step, finite(values))
    return values["likelihood/bits_per_dimension"]


def draw(config: Config, env: Env, weights: Mapping[str, Tensor], n: int) -> Images:
    """``n`` new images by a trained network."""
    data = datasets.load(env.data, env.data_folder)
    net = load(config, data.shape, dict(weights), env.device)
    return Images(0, "samples/new", draw_images(net, n, env.generator("samples"), Sharpness(config.temperature)))


def report(result: Result, env: Env) -> Iterator[Event]:
    """Bits beside reference values, scores of new images beside their anchors, and pictures of what was learned."""
    config, net, data, step, quality = result.config, result.network, result.data, result.step, result.quality
    yield Progress("evaluation", 0, 3)
    fresh = _samples(result, env, config.evaluation_samples)
    yield Images(step, "samples/fresh", fresh[:SHOWN])
    values = quality.anchors(data, env.generator("anchors")) | quality.of_new_images("fresh", fresh)
    values |= likelihoods(result, fresh)
    one = partial(draw_images, net, 1, env.generator("cost"), Sharpness(config.temperature))
    values["cost/sample_flops"] = float(counted(one)[1])
    yield Scalars(step, finite(values))
    yield Progress("evaluation", 1, 3)
    yield from nearest_training_images(fresh[:16], data, step)
    yield from pictures.report(net, config, data, env, step)
    yield Progress("evaluation", 2, 3)
    yield from strangers(net, data, env, step, {"fresh": fresh[:N_EVALUATED]})
    yield Weights.of(net)
    yield Progress("evaluation", 3, 3)


def likelihoods(result: Result, fresh: Tensor) -> dict[str, float]:
    """Bits per dimension of validation images, of training images and of new ones, and of models without training."""
    net, data = result.network, result.data
    values = _bits(result, data.validation.floats())
    bits = values["likelihood/bits_per_dimension"]
    values |= _bits(result, data.train.floats(torch.arange(min(N_EVALUATED, len(data.train)))), "_train")
    values |= _bits(result, fresh[:N_EVALUATED], "_own_samples")
    return values | {
        "likelihood/gap": bits - values["likelihood/bits_per_dimension_train"],
        "likelihood/best": min(bits, result.best),
        "likelihood/independent": result.independent,
        "likelihood/one_rate": constant_bits(net, data),
        "likelihood/uniform": math.log2(net.tokens.levels),
        "network/parameters": float(n_weights(net)),
    }


def _bits(result: Result, images: Tensor, name: str = "") -> dict[str, float]:
    net = result.network
    nats = nats_by_place(net.eval(), net.tokens.encode(images)).sum(1).cpu()
    return scores(nats, result.data.shape, name)


def _samples(result: Result, env: Env, n: int) -> Tensor:
    """New images by the same random numbers at every call."""
    net, temperature = result.network, result.config.temperature
    return draw_images(net.eval(), n, env.generator("evaluation"), Sharpness(temperature)).cpu()
