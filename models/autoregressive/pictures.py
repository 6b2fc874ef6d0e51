"""Pictures of what an autoregressive model has learned."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from models.autoregressive.bayes_net import BayesNet
from models.autoregressive.config import BayesNetConfig, Config
from models.autoregressive.dependence import ABOVE, ASIDE, N_IMAGES, conditional_information
from models.autoregressive.hidden_pixels import hidden_pixels
from models.autoregressive.neighbours import REACH, picture
from models.autoregressive.networks import Network, nats_by_place, sequences
from models.autoregressive.sampling import Sharpness, draw_tokens
from models.autoregressive.transformer import ImageGPT
from models.data.dataset import Data
from models.env import Env
from models.events import Curve, Event, Images, Matrix, Scalars
from models.parts.evaluation import calibration

GROWING = 16  # images
FRAMES = 14  # of images that grow, at most
COMPLETED = 8  # images
DRAWS = 6  # ways to go on
CALIBRATED = 100  # images
ATTENDING = 16  # images
GREY = 0.0


def introduce(net: Network) -> Iterator[Event]:
    """What the network looks at."""
    if isinstance(net, BayesNet):
        yield Images(0, "network/neighbourhood", picture(net.neighbours), 1)


def report(net: Network, config: Config, data: Data, env: Env, step: int) -> Iterator[Event]:
    """All pictures of a finished model."""
    sharpness = Sharpness(config.temperature)
    yield from growing(net, env, sharpness)
    yield completions(net, data, env, sharpness, step)
    yield from bits(net, data, step)
    yield from pixel_calibration(net, data, step)
    if isinstance(net, ImageGPT):
        yield attention(net, data, env, step)
        return
    assert isinstance(config, BayesNetConfig)
    if config.cpd == "linear":
        yield weights(net, step)
    yield left_dependence(config, data, step)
    if config.levels == 2:
        yield from hidden_pixels(net, data, env, step)


def growing(net: Network, env: Env, sharpness: Sharpness) -> Iterator[Event]:
    """New images after some of their rows are written: one picture that plays, its step the number of rows of tokens."""
    tokens = draw_tokens(net, GROWING, env.generator("growing"), sharpness)
    images, rows = net.tokens.decode(tokens).cpu(), net.tokens.rows
    every = math.ceil(rows / FRAMES)
    for row in sorted({*range(every, rows, every), rows}):
        written = images.clone()
        written[:, :, row * net.tokens.patch :] = GREY
        yield Images(row, "samples/growing", written)


def completions(net: Network, data: Data, env: Env, sharpness: Sharpness, step: int) -> Images:
    """Each row: the upper half of a validation image, six ways to go on, the image itself."""
    n = min(COMPLETED, len(data.validation))
    tokens = net.tokens.encode(data.validation.floats(torch.arange(n)))
    original = net.tokens.decode(tokens)
    half = net.tokens.rows // 2
    labels = data.validation.labels[:n].to(tokens.device)
    drawn = draw_tokens(
        net,
        n * DRAWS,
        env.generator("completions"),
        sharpness,
        given=tokens.repeat_interleave(DRAWS, 0),
        hidden_from=half * net.tokens.columns,
        labels=labels.repeat_interleave(DRAWS),
    )
    begun = original.clone()
    begun[:, :, half * net.tokens.patch :] = GREY
    ways = net.tokens.decode(drawn).view(n, DRAWS, *original.shape[1:])
    rows = torch.cat([begun[:, None], ways, original[:, None]], 1)
    return Images(step, "samples/completions", rows.flatten(0, 1).cpu(), DRAWS + 2)


def bits(net: Network, data: Data, step: int) -> Iterator[Event]:
    """Bits of validation images by place and by class."""
    tokens = net.tokens.encode(data.validation.floats())
    by_place = -nats_by_place(net, tokens).cpu() / math.log(2)
    height, width = net.tokens.rows, net.tokens.columns
    rows, columns = (list(map(str, range(n))) for n in (height, width))
    yield Matrix(step, "likelihood/bits_by_place", by_place.mean(0).view(height, width), rows, columns, "row", "column")
    per_pixel = by_place.sum(1) / math.prod(data.shape)
    labels = data.validation.labels
    means = torch.tensor([float(per_pixel[labels == label].mean()) for label in range(len(data.classes))])
    yield Matrix(
        step,
        "likelihood/bits_by_class",
        means[:, None],
        data.classes,
        ["bits per dimension"],
        "class",
        "bits",
        stacked=True,
    )


def pixel_calibration(net: Network, data: Data, step: int) -> Iterator[Event]:
    """Is a token of probability p there in a share p of cases? Over the tokens of validation images."""
    tokens = net.tokens.encode(data.validation.floats(torch.arange(min(CALIBRATED, len(data.validation)))))
    labels = data.validation.labels[: len(tokens)].to(tokens.device)
    with torch.no_grad():
        logits = net(sequences(net, tokens, labels)).flatten(0, 1)
    middles, right = calibration.reliability(logits, tokens.flatten(), least=20)
    lines = {"model": right, "calibrated": middles}
    yield Curve(
        step, "calibration/reliability", middles, lines, "probability of the likeliest token", "share that it is"
    )
    yield Scalars(step, {"calibration/error": calibration.error(logits, tokens.flatten())})


def weights(net: BayesNet, step: int) -> Matrix:
    """The weight of each parent in the logit of the pixel, averaged over places; NaN where no parent is.

    Of more than two levels, the slope of the levels' logits over their grey values.
    """
    weight = net.weight.detach().mean(2) if net.own else net.weight.detach()
    if net.levels > 2:
        palette = net.tokens.palette - net.tokens.palette.mean()
        weight = (palette @ weight / palette.square().sum())[None]
    values = torch.full((REACH + 1, 2 * REACH + 1), torch.nan)
    for (down, right), value in zip(net.offsets, weight[0].tolist(), strict=True):
        values[REACH + down, REACH + right] = value
    rows, columns = _names(range(-REACH, 1)), _names(range(-REACH, REACH + 1))
    return Matrix(step, "network/weights", values, rows, columns, "rows down", "columns right")


def left_dependence(config: BayesNetConfig, data: Data, step: int) -> Matrix:
    """Millibits that further neighbours tell beside the parents, of training images made binary."""
    images = data.train.images[:N_IMAGES, 0] > 127
    values = 1_000 * conditional_information(images, config.neighbours)
    rows, columns = _names(range(-ABOVE, 1)), _names(range(-ASIDE, ASIDE + 1))
    return Matrix(step, "network/left_dependence", values, rows, columns, "rows down", "columns right")


def attention(net: ImageGPT, data: Data, env: Env, step: int) -> Images:
    """Of each block, where a place in the middle looks: means over images and heads, each scaled to its largest."""
    n, place = min(ATTENDING, len(data.validation)), net.tokens.places // 2 + net.tokens.columns // 2
    tokens = net.tokens.encode(data.validation.floats(torch.arange(n)))
    with torch.no_grad():
        maps = net.attention_maps(sequences(net, tokens, data.validation.labels[:n].to(tokens.device)))
    # Input i is token i − 1, and the first input is the start.
    seen = maps[:, :, :, place, 1 : place + 1].mean((0, 2))
    grid = torch.full((len(seen), net.tokens.places), -1.0)
    grid[:, :place] = (2 * seen / seen.amax(1, keepdim=True).clamp_min(1e-12) - 1).cpu()
    grid[:, place] = 1.0
    return Images(
        step, "network/attention", _enlarged(grid.view(-1, 1, net.tokens.rows, net.tokens.columns)), len(seen)
    )


def _enlarged(images: Tensor, factor: int = 2) -> Tensor:
    return images.repeat_interleave(factor, 2).repeat_interleave(factor, 3)


def _names(numbers: range) -> list[str]:
    return [str(number) for number in numbers]
