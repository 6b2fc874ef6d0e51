"""Scores of the images that a trained flow draws, and new ones."""

from collections.abc import Iterator, Mapping

from torch import Tensor

from models.data import dataset as datasets
from models.env import Env
from models.events import Event, Images, Scalars
from models.flow.bits import scores
from models.flow.frozen_sampling.config import Config
from models.flow.frozen_sampling.training import Result, draw, load_network
from models.parts.training.reporting import finite

SHOWN = 64  # images in a grid
STEP = 1


def sample(config: Config, env: Env, weights: Mapping[str, Tensor], n: int) -> Images:
    """``n`` new images by the flow that is named in the settings. There are no ``weights``."""
    flow = load_network(config.model, datasets.load(env.data, env.data_folder).shape, env.device)
    return Images(0, "samples/new", draw(flow, config, n, env.generator("samples")).cpu())


def report(result: Result, env: Env) -> Iterator[Event]:
    """Scores beside their reference values, and the bits that the flow itself gives its cooled images."""
    references, flow = result.trained.references, result.trained.network
    images = result.images.to(env.device)
    yield Images(STEP, "samples/fresh", images[:SHOWN])
    own = scores(flow, images, env.generator("cells"))
    values = references.scores(images)
    values["likelihood/bits_per_dimension_own_samples"] = own["likelihood/bits_per_dimension"]
    yield Scalars(STEP, finite(values))
