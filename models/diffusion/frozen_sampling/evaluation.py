"""Scores of the images that a trained network draws, and new ones."""

from collections.abc import Iterator, Mapping

from torch import Tensor

from models.data import dataset as datasets
from models.diffusion.drawing import asked_labels, draw, standard_noise
from models.diffusion.frozen_sampling.config import Config
from models.diffusion.frozen_sampling.training import Result, load_network
from models.env import Env
from models.events import Event, Images, Scalars
from models.parts.training.reporting import finite

SHOWN = 64  # images in a grid
STEP = 1


def sample(config: Config, env: Env, weights: Mapping[str, Tensor], n: int) -> Images:
    """``n`` new images by the network that is named in the settings. There are no ``weights``."""
    shape = datasets.load(env.data, env.data_folder).shape
    network = load_network(config.model, shape, env.device)
    generator = env.generator("samples")
    noise, labels = standard_noise(n, shape, generator), asked_labels(config, config.known_classes, n, env.device)
    return Images(0, "samples/new", draw(network, config, noise, generator, labels).cpu())


def report(result: Result, env: Env) -> Iterator[Event]:
    """Scores beside their reference values, and the price of an image."""
    references, images = result.trained.references, result.images
    yield Images(STEP, "samples/fresh", images[:SHOWN])
    yield Scalars(STEP, finite(references.scores(images) | result.cost.scores()))
