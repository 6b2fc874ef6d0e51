"""Images decoded from tokens that no image had: drawn from a prior, drawn at random, edited; and the codebook as a picture."""

import math
from collections.abc import Generator, Iterator

import torch
from torch import Tensor

from models.data.dataset import Data
from models.dvae.config import Config
from models.dvae.networks import Autoencoder
from models.dvae.prior import bits_by_place, by_place, learn
from models.env import Env
from models.events import Curve, Event, Images
from models.parts.evaluation import judge as judges
from models.parts.evaluation.neighbours import nearest_training_images
from models.parts.evaluation.quality import Quality

SHOWN = 64  # images in a grid
PRIOR_IMAGES = 1_000  # validation images on which a prior is judged, at most
BOOK = 256  # codes in the picture of the codebook, at most
EDITED = 6  # pairs of images, one of whose tokens become the other's


def samples(
    config: Config, network: Autoencoder, data: Data, tokens: Tensor, held_out: Tensor, env: Env, step: int
) -> Generator[Event, None, dict[str, float]]:
    """Draws and edits, given training images' ``tokens`` and those ``held_out``; the scores of what was drawn are returned.

    ``fid/fresh`` is of images that the prior draws, ``fid/codes_by_place`` of tokens drawn for each place without regard to
    the others, ``fid/reconstructions`` of training images that went through their tokens: what no prior can be better than.
    """
    generator, n = env.generator("samples"), max(SHOWN, config.evaluation_samples)
    even = torch.randint(network.size, (n, *network.map), generator=generator, device=env.device)
    drawn = {"even_codes": even, "codes_by_place": by_place(tokens, n, generator)}
    values: dict[str, float] = {}
    if network.prior is not None and network.quantiser is not None:
        judged_tokens = held_out[:PRIOR_IMAGES]
        yield from learn(
            network.prior, network.quantiser.codes.detach(), tokens, judged_tokens, config.prior_updates, env, step
        )
        drawn["fresh"] = network.prior.draw(n, generator)
        with torch.no_grad():
            values["prior/bits"] = float(network.prior.bits(judged_tokens))
            values["prior/bits_training"] = float(network.prior.bits(tokens[:PRIOR_IMAGES]))
        values["prior/bits_by_place"] = bits_by_place(tokens, judged_tokens, network.size)
        values["prior/bits_even"] = math.log2(network.size)
    images = {name: network.decode(drawn_tokens) for name, drawn_tokens in drawn.items()}
    for name, batch in images.items():
        yield Images(step, f"samples/{name}", batch[:SHOWN])
    if "fresh" in images:
        yield from nearest_training_images(images["fresh"][:16], data, step)
    yield from edits(network, held_out, step)
    yield from book(network, tokens, held_out, step)
    judge = yield from judges.obtain(data, env.cache_folder, env.device)
    quality = Quality.against_validation(judge, data, config.evaluation_samples, config.inception_weights)
    values |= quality.anchors(data, env.generator("anchors"))
    values["fid/reconstructions"] = quality.fid(network.decode(tokens[: config.evaluation_samples]))
    for name, batch in images.items():
        values |= quality.of_new_images(name, batch) if name == "fresh" else {f"fid/{name}": quality.fid(batch)}
    return values


def edits(network: Autoencoder, tokens: Tensor, step: int) -> Iterator[Event]:
    """A row for each pair: an image, then ever more of its tokens replaced by the other's, from above, to the other image."""
    pairs = min(EDITED, len(tokens) // 2)
    first, second = tokens[:pairs], tokens[pairs : 2 * pairs]
    rows, columns = network.map
    place = torch.arange(rows * columns, device=tokens.device).view(rows, columns)
    steps = [torch.where(place < rows * columns * k // 7, second, first) for k in range(8)]
    yield Images(step, "samples/edited_codes", network.decode(torch.stack(steps, 1).flatten(0, 1)), columns=8)


def book(network: Autoencoder, tokens: Tensor, held_out: Tensor, step: int) -> Iterator[Event]:
    """Each code, the most used first: at every place, in the middle of an image, and how often it is used.

    What a code looks like depends on its neighbours, for the decoder sees several at once.
    """
    counts = torch.bincount(tokens.flatten(), minlength=network.size)
    order = counts.argsort(descending=True, stable=True)
    rows, columns = network.map
    shown = order[:BOOK].view(-1, 1, 1)
    yield Images(step, "codes/book", network.decode(shown.expand(-1, rows, columns)), columns=16)
    changed = held_out[:1].expand(len(shown), -1, -1).clone()
    changed[:, rows // 2, columns // 2] = shown[:, 0, 0]
    decoded = torch.cat([held_out[:1], changed])
    yield Images(step, "samples/one_code_changed", network.decode(decoded), columns=16)
    shares = (counts[order].double() / counts.sum()).tolist()
    even = [1 / network.size] * network.size
    x = [float(rank) for rank in range(1, network.size + 1)]
    yield Curve(step, "codes/use", x, {"codes": shares, "even use": even}, "code, by use", "share of tokens")
