"""The code of a variational autoencoder in pictures: traversed, interpolated, mapped, and dimension by dimension."""

from collections.abc import Iterator

import torch
from torch import Tensor

from models.data.dataset import Data
from models.env import Env
from models.events import Curve, Event, Images, Points
from models.parts.evaluation.pictures import plane
from models.vae.bound import divergences
from models.vae.config import Config
from models.vae.networks import Autoencoder, Gaussian

REACH = 3.0  # standard deviations of a traversal, to either side
STOPS = 9  # of a traversal, and of an interpolation
DIMENSIONS = 16  # rows of a traversal, at most
ENCODED = 1_000  # validation images whose codes are looked at, at most
MAPPED = 500  # validation images in the map of the codes
FEWEST = 10  # codes that t-SNE places; fewer are shown by their first dimension


def code(config: Config, network: Autoencoder, data: Data, env: Env, step: int) -> Iterator[Event]:
    """All pictures of the code, of validation images."""
    posterior, layers = _encoded(config, network, data, env)
    yield traversal(network, posterior.mean, layers[0], step)
    yield interpolation(network, posterior.mean, data.validation.labels[:ENCODED], step)
    if config.variational:
        for key, kl in zip(("latent/kl_by_dimension", "latent/kl_by_dimension_2"), layers, strict=False):
            rank = [float(number) for number in range(1, len(kl) + 1)]
            lines = {"KL": kl.sort(descending=True).values.tolist()}
            yield Curve(step, key, rank, lines, "dimension, by its KL", "nats")
    yield map_of(posterior.mean[:MAPPED].cpu(), data, step)


def traversed(config: Config, network: Autoencoder, data: Data, env: Env) -> Images:
    """The traversal of the code of an image that the seed chooses."""
    posterior, layers = _encoded(config, network, data, env)
    codes, generator = posterior.mean, env.generator("image")
    image = int(torch.randint(len(codes), (1,), generator=generator, device=generator.device).item())
    return traversal(network, codes.roll(-image, 0), layers[0], 0)


def _encoded(config: Config, network: Autoencoder, data: Data, env: Env) -> tuple[Gaussian, tuple[Tensor, ...]]:
    """Gaussians over codes of validation images, and of each layer what its dimensions hold.

    That is their mean KL. Of a plain autoencoder, which has none, it is the variance of the codes.
    """
    with torch.no_grad():
        posterior = network.posterior(data.validation.floats()[:ENCODED].to(env.device))
        if not config.variational:
            return posterior, (posterior.mean.var(0),)
        generator = env.generator("traversal")
        kl = divergences(network, posterior, posterior.draw(generator), generator)
    return posterior, tuple(layer.mean(0) for layer in kl)


def traversal(network: Autoencoder, codes: Tensor, held: Tensor, step: int) -> Images:
    """A row for each dimension of the code: one image's code, with that dimension moved across the codes of all images.

    From 3 standard deviations of ``codes`` (n, latent_size) below their mean to 3 above. The dimensions that hold most come
    first, by ``held`` (latent_size,): the last ones, which hold nothing, change nothing.
    """
    dimensions = held.argsort(descending=True)[:DIMENSIONS]
    stops = torch.linspace(-REACH, REACH, STOPS, device=codes.device)
    mean, deviation = codes.mean(0), codes.std(0)
    z = codes[0].repeat(len(dimensions), STOPS, 1)
    for row, dimension in enumerate(dimensions.tolist()):
        z[row, :, dimension] = mean[dimension] + stops * deviation[dimension]
    return Images(step, "samples/traversal", network.decode(z.flatten(0, 1)), columns=STOPS)


def interpolation(network: Autoencoder, codes: Tensor, labels: Tensor, step: int) -> Images:
    """A row for each class: from an image of it, by a straight line between codes, to one of the next class."""
    classes = sorted(set(labels.tolist()))
    ends = codes[[labels.tolist().index(label) for label in classes]]
    shares = torch.linspace(0, 1, STOPS, device=codes.device).view(1, -1, 1)
    z = ends[:, None] * (1 - shares) + ends.roll(-1, 0)[:, None] * shares
    return Images(step, "samples/interpolation", network.decode(z.flatten(0, 1)), columns=STOPS)


def map_of(codes: Tensor, data: Data, step: int) -> Points:
    """Codes (n, latent_size) of validation images in the plane, by class: as they are where they have two dimensions."""
    labels = [data.classes[label] for label in data.validation.labels[: len(codes)].tolist()]
    if codes.shape[1] == 1 or len(codes) < FEWEST:
        places = torch.stack([codes[:, 0], torch.zeros(len(codes))], 1)
    else:
        places = codes if codes.shape[1] == 2 else plane(codes.numpy(), 0)
    return Points(step, "latent/map", places, {"class": labels})
