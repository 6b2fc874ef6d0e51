"""Evaluation of a flow: bits of validation images, images that come back from their noise, new images and strangers."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from models.data import dataset as datasets
from models.env import Env
from models.events import Event, Facts, Images, Progress, Scalars, Weights
from models.flow import bits
from models.flow.background import background
from models.flow.config import Config
from models.flow.divergence import check_contraction, check_inverse
from models.flow.drawing import drawn, labels_in_turn, standard_noise
from models.flow.edited import edits
from models.flow.networks import Flow, network
from models.flow.residual import estimates
from models.flow.strangers import strangers
from models.parts.evaluation import likelihood
from models.parts.evaluation.neighbours import nearest_training_images
from models.parts.evaluation.quality import Quality
from models.parts.networks.blocks import restored
from models.parts.training.cost import counted
from models.parts.training.reporting import finite

SHOWN = 64  # images in a grid
OUTSIDE = 0.05  # of [0, 1], beyond which a drawn pixel is no image's


@dataclass(frozen=True)
class Result:
    """A trained model and what is needed to report on it."""

    config: Config
    network: Flow
    data: datasets.Data
    quality: Quality
    step: int


def evaluate(result: Result, env: Env) -> Iterator[Event]:
    """Bits, the error of the inverse, and new images with their scores. Raises Diverged where images do not come back."""
    config, flow, data, step = result.config, result.network, result.data, result.step
    flow.eval()
    held_out, n = data.validation, config.likelihood_images
    values = bits.scores(flow, held_out.floats()[:n], env.generator("validation cells"))
    values["flow/inverse_error"] = bits.inverse_error(
        flow, held_out.floats(), held_out.labels, env.generator("inverted cells")
    )
    pixels = fresh(result, env)
    images = flow.images(pixels)
    yield Images(step, "samples/fresh", images[:SHOWN])
    outside = (pixels < -OUTSIDE) | (pixels > 1 + OUTSIDE) | ~pixels.isfinite()
    values["flow/outside"] = float(outside.float().mean())
    values |= result.quality.of_new_images("fresh", images)
    if config.residual:
        x = estimated(result, env)
        values |= estimates.contraction(flow, x) | estimates.estimates(flow, config, x, env.generator("estimates"))
    yield Scalars(step, finite(values))
    check_inverse(step, values["flow/inverse_error"])
    if config.residual:
        check_contraction(step, config.updates, values["residual/layer_norm"], values["residual/inverse_error"])
    flow.train()


def fresh(result: Result, env: Env) -> Tensor:
    """Pixels of new images at the temperature of the settings: of the same noise at every evaluation."""
    flow, n = result.network, max(SHOWN, result.config.evaluation_samples)
    noise = standard_noise(n, flow.shape, env.generator("samples"))
    return drawn(flow, noise, result.config.temperature, labels_in_turn(flow, n, env.device))


def estimated(result: Result, env: Env) -> Tensor:
    """Pixels of the validation images on which estimates of log-determinants are judged: the same at every evaluation."""
    images = result.data.validation.floats()[: estimates.IMAGES].to(env.device)
    return bits.pixels(images, int(result.network.levels), env.generator("estimated cells"))


def report(result: Result, env: Env) -> Generator[Event, None, None]:
    """Scores beside their references, edits, strangers and the weights."""
    flow, data, step = result.network, result.data, result.step
    yield Progress("evaluation", 0, 4)
    yield from evaluate(result, env)
    flow.eval()
    trained = data.train.floats(torch.arange(min(result.config.likelihood_images, len(data.train))))
    values = bits.scores(flow, trained, env.generator("training cells"), "_train")
    values |= result.quality.anchors(data, env.generator("anchors"))
    noise = standard_noise(1, flow.shape, env.generator("cost"))
    _, flops = counted(lambda: drawn(flow, noise, 1.0, labels_in_turn(flow, 1, env.device)))
    values["cost/sample_flops"] = float(flops)
    exact = not result.config.residual or estimates.exact(flow)
    yield Facts({likelihood.KIND: "upper bound" if exact else "estimate", "likelihood/levels": int(flow.levels)})
    if result.config.residual:
        yield from estimates.report(flow, result.config, estimated(result, env), step)
    yield Scalars(step, finite(values))
    images = flow.images(fresh(result, env))
    yield from nearest_training_images(images[:16], data, step)
    yield Progress("evaluation", 1, 4)
    yield from edits(flow, result.quality.judge, data, env, step)
    yield Progress("evaluation", 2, 4)
    other = None
    if result.config.background_updates:
        other = yield from background(flow, result.config, data, env)
    yield from strangers(flow, other, data, env, step)
    yield Progress("evaluation", 3, 4)
    yield Weights.of(flow)
    yield Progress("evaluation", 4, 4)


def sample(config: Config, env: Env, weights: Mapping[str, Tensor], n: int) -> Images:
    """``n`` new images by a trained flow, at the temperature of its settings."""
    data = datasets.load(env.data, env.data_folder)
    flow = restored(network(config, data.shape), weights, env.device)
    noise = standard_noise(n, data.shape, env.generator("samples"))
    pixels = drawn(flow, noise, config.temperature, labels_in_turn(flow, n, env.device))
    return Images(0, "samples/new", flow.images(pixels).cpu())
