"""Evaluation of a discrete autoencoder: reconstructions beside reference values, and everything made of its codes."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from models.data import dataset as datasets
from models.dvae.clusters import clusters
from models.dvae.config import Config
from models.dvae.generation import samples
from models.dvae.networks import Autoencoder
from models.dvae.prior import by_place
from models.dvae.quantisers import perplexity, usage
from models.env import Env
from models.events import Event, Facts, Images, Progress, Scalars, Weights
from models.parts.evaluation.metrics import squared_error
from models.parts.evaluation.pictures import reconstructions
from models.parts.networks.blocks import n_weights, restored
from models.parts.training.reporting import finite

PCA_IMAGES = 20_000  # training images that principal components are of, at most


@dataclass(frozen=True)
class Result:
    """A trained model and what is needed to report on it."""

    config: Config
    network: Autoencoder
    plain: Autoencoder | None  # without quantiser
    data: datasets.Data
    step: int


def introduce(config: Config, network: Autoencoder, data: datasets.Data) -> Iterator[Event]:
    """The sizes of the network and of its codes, and an evaluation before the first update."""
    rows, columns = network.map
    bits = rows * columns * math.log2(config.codebook_size)
    size = n_weights(network) - (n_weights(network.prior) if network.prior else 0)
    yield Facts({"network/parameters": size, "codes/tokens": rows * columns, "codes/bits": round(bits, 1)})
    yield from evaluate(network, data, 0)


def evaluate(network: Autoencoder, data: datasets.Data, step: int) -> Iterator[Event]:
    """Of validation images: their reconstructions, the error, and the use of the codes."""
    images = data.validation.floats()
    tokens = network.tokens(images)
    reconstructed = network.decode(tokens).cpu()
    values = {
        "reconstruction/validation": squared_error(reconstructed, images),
        "codes/perplexity_validation": perplexity(tokens, network.size),
        "codes/usage_validation": usage(tokens, network.size),
    }
    yield reconstructions(images, reconstructed, step)
    yield Scalars(step, finite(values))


def draw(config: Config, env: Env, weights: Mapping[str, Tensor], n: int) -> Images:
    """``n`` new images by a trained network: of its prior, or where it has none, of codes by place."""
    data = datasets.load(env.data, env.data_folder)
    network, generator = restored(Autoencoder(config, data.shape), weights, env.device), env.generator("samples")
    if network.prior is not None:
        return Images(0, "samples/new", network.decode(network.prior.draw(n, generator)))
    tokens = network.tokens(data.train.floats(torch.arange(min(config.clustered_images, len(data.train)))))
    return Images(0, "samples/new", network.decode(by_place(tokens, n, generator)))


def report(result: Result, env: Env) -> Iterator[Event]:
    """Errors beside their references, images that are drawn and edited by their codes, and clusters of the codes."""
    network, data, step = result.network, result.data, result.step
    yield Progress("evaluation", 0, 2)
    images = data.validation.floats()
    tokens = network.tokens(images)
    reconstructed = network.decode(tokens).cpu()
    yield reconstructions(images, reconstructed, step)
    n_images = min(result.config.clustered_images, len(data.train))
    train_tokens = network.tokens(data.train.floats(torch.arange(n_images)))
    values = yield from samples(result.config, network, data, train_tokens, tokens, env, step)
    values["codes/perplexity_validation"] = perplexity(tokens, network.size)
    values["codes/usage_validation"] = usage(tokens, network.size)
    values |= references(result)
    yield Progress("evaluation", 1, 2)
    # The objectives are said together, in one event: a trial's values are of one moment.
    chosen = yield from clusters(result.config, network, data, train_tokens, env, step)
    yield Scalars(step, values | chosen | {"reconstruction/validation": squared_error(reconstructed, images)})
    yield Weights.of(network)
    yield Progress("evaluation", 2, 2)


def references(result: Result) -> dict[str, float]:
    """Errors on validation images that the model's own is read beside, and its own on the test split.

    ``plain``: the same network, trained as long, without quantiser. ``pca``: the training images' principal components,
    as many as an image has tokens, each a real number where a token is one of ``codebook_size``. ``mean``: the mean
    training image.
    """
    from sklearn.decomposition import PCA

    data, network = result.data, result.network
    images = data.validation.floats()
    flat = data.train.floats(torch.arange(min(PCA_IMAGES, len(data.train)))).flatten(1).numpy()
    errors = {
        "reconstruction/mean": squared_error(data.train.floats().mean(0), images),
        "reconstruction/test": squared_error(network(data.test.floats()), data.test.floats()),
    }
    n_components = min(network.map[0] * network.map[1], *flat.shape)
    pca = PCA(n_components, random_state=0).fit(flat)
    projected = torch.from_numpy(pca.inverse_transform(pca.transform(images.flatten(1).numpy()))).float()
    errors["reconstruction/pca"] = squared_error(projected.view(images.shape).clamp(-1, 1), images)
    if result.plain is not None:
        plain = squared_error(result.plain(images), images)
        if math.isfinite(plain):
            errors["reconstruction/plain"] = plain
    return errors
