"""Scores of the images that a trained model draws, and new ones."""

from collections.abc import Iterator, Mapping

from torch import Tensor

from models.autoregressive.frozen_sampling.config import Config
from models.autoregressive.frozen_sampling.training import Result, load_network, sharpness
from models.autoregressive.networks import nats_by_place
from models.autoregressive.sampling import draw_images
from models.data import dataset as datasets
from models.env import Env
from models.events import Event, Images, Scalars
from models.parts.evaluation.likelihood import bits
from models.parts.training.reporting import finite

SHOWN = 64  # images in a grid
STEP = 1


def draw(config: Config, env: Env, weights: Mapping[str, Tensor], n: int) -> Images:
    """``n`` new images by the network that is named in the settings. There are no ``weights``."""
    shape = datasets.load(env.data, env.data_folder).shape
    net = load_network(config.model, shape, env.device)
    return Images(0, "samples/new", draw_images(net, n, env.generator("samples"), sharpness(config)).cpu())


def report(result: Result, env: Env) -> Iterator[Event]:
    """Scores beside their reference values, and the bits that the model itself gives its sharpened images."""
    references, images, net = result.trained.references, result.images, result.trained.network
    yield Images(STEP, "samples/fresh", images[:SHOWN])
    values = references.scores(images)
    nats = float(nats_by_place(net, net.tokens.encode(images)).sum(1).mean())
    values["likelihood/bits_per_dimension_own_samples"] = bits(nats, references.data.shape)
    values["cost/sample_flops"] = float(result.flops)
    yield Scalars(STEP, finite(values))
