"""The likelihood of images in one currency: bits per dimension of the grey levels that the data really have.

A stored image has a probability, not a density, so bits per dimension are at least 0. A model of a density says how likely an
image is with each pixel moved uniformly within the cell of its level. By Jensen's inequality that is an upper bound on the
bits of the stored image (Theis et al. 2016, arXiv:1511.01844). With other levels than the data's, bits mean nothing: a density
that stands on the data's few values would gain bits without end.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from models.data.dataset import Data
from models.parts.evaluation.complexity import code_bits

Kind = Literal["exact", "upper bound", "estimate"]
"""What bits per dimension are: the model's own, an upper bound on them, or an estimate that may err to either side."""

KIND = "likelihood/kind"  # the fact that says it
BYTE = 256
SMALLEST_LOG_SCALE = -7.0  # of a logistic on [-1, 1]: a thousandth of the range, narrower than any level
LARGEST_LOG_SCALE = 7.0  # a thousand times the range, where all levels are equally likely


def levels(data: Data) -> int:
    """How many grey levels a pixel may have: the number of values in all splits if these are evenly spaced, else 256."""
    splits = (data.train, data.validation, data.test)
    counts = sum(torch.bincount(split.images.flatten(), minlength=BYTE) for split in splits)
    assert isinstance(counts, Tensor)
    values = counts.nonzero().flatten()
    n = len(values)
    return n if n > 1 and torch.equal(values, level_bytes(n)) else BYTE


def level_bytes(n: int) -> Tensor:
    """The bytes (n,) of ``n`` evenly spaced levels from black to white, n >= 2."""
    return (torch.arange(n) * (BYTE - 1) / (n - 1)).round().long()


def ranks(images: Tensor, n: int) -> Tensor:
    """Images in [-1, 1] as the numbers of their nearest of ``n`` levels, from 0, as int64 of the same shape."""
    return ((images + 1) / 2 * (n - 1)).round().long().clamp(0, n - 1)


def dequantise(numbers: Tensor, n: int, generator: Generator) -> Tensor:
    """Level numbers as floats in [0, 1): each anywhere in the cell of its level, by a uniform number that is drawn anew.

    The middle of the cell instead would be a density at a point, which bounds nothing.
    """
    places: Tensor = numbers.to(generator.device).float()
    return (places + torch.empty_like(places).uniform_(generator=generator)) / n


def bits(nats: float, shape: Sequence[int], cell: float = 1.0) -> float:
    """Bits per dimension of images of ``shape`` with a log probability of ``nats``.

    Of a log density, ``cell`` is the width of a level in the units of a pixel: 1/n on [0, 1], 2/n on [-1, 1]. The uniform
    density on n levels has log₂ n bits.
    """
    return -nats / (math.prod(shape) * math.log(2)) - math.log2(cell)


def scores(nats: Tensor, shape: Sequence[int], name: str = "", cell: float = 1.0) -> dict[str, float]:
    """Of the log probabilities ``nats`` (images,): their mean, and bits per dimension with the standard error over images."""
    mean, error = float(nats.double().mean()), float(nats.double().std()) / math.sqrt(len(nats))
    return {
        f"likelihood/nats{name}": mean,
        f"likelihood/bits_per_dimension{name}": bits(mean, shape, cell),
        f"likelihood/bits_per_dimension{name}_error": error / (math.prod(shape) * math.log(2)),
    }


def place_counts(batches: Iterable[Tensor], size: int) -> Tensor:
    """How often each place of batches (n, places) of numbers below ``size`` has each number: (places, size)."""
    counts = torch.zeros(0, size, dtype=torch.float64)
    for numbers in batches:
        places = numbers.shape[1]
        flat = (torch.arange(places, device=numbers.device) * size + numbers).flatten()
        counts = counts if len(counts) else counts.new_zeros(places, size)
        counts += torch.bincount(flat, minlength=places * size).view(places, size).cpu()
    return counts


def independent_bits(
    train: Tensor, held_out: Tensor, n_images: int, shape: Sequence[int], unseen: float = 1.0
) -> float:
    """Bits per dimension of ``n_images`` held-out images if each place had its frequencies among training images.

    Of counts (places, size); each number counts ``unseen`` more than it was seen, so that none is impossible.
    """
    frequencies = (train + unseen) / (train + unseen).sum(1, keepdim=True)
    return bits(float((held_out * frequencies.log()).sum()) / n_images, shape)


def discretised_logistic(numbers: Tensor, mean: Tensor, log_scale: Tensor, n: int) -> Tensor:
    """Log probabilities of level numbers under a logistic on [-1, 1] cut into ``n`` cells, the outer ones with the tails.

    All arguments have one shape, or broadcast. Salimans et al. 2017, arXiv:1701.05517; the scale has a least and a largest
    value, so that no level gets all probability by rounding, and none gets none.
    """
    scale = log_scale.clamp(SMALLEST_LOG_SCALE, LARGEST_LOG_SCALE).exp()
    lower, upper = ((2 * (numbers.to(mean.dtype) + side) / n - 1 - mean) / scale for side in (0, 1))
    below = F.logsigmoid(upper)  # log P(x < upper edge)
    above = F.logsigmoid(-lower)  # log P(x > lower edge)
    # log (σ(u) − σ(l)) = log σ(u) + log σ(−l) + log (1 − exp(l − u)), which loses no digits in the tails.
    between = below + above + torch.log(-torch.expm1(-2 / (n * scale)))
    return torch.where(numbers == 0, below, torch.where(numbers == n - 1, above, between))


def strangeness(nats: Tensor, images: Tensor, train_nats: float) -> dict[str, Tensor]:
    """Three scores (images,) of how strange images are to a model that gives them ``nats``; higher is stranger.

    ``likelihood``: less likely. ``complexity``: less likely than their shortest code says. ``typicality``: less or more likely
    than training images, whose mean is ``train_nats`` (Nalisnick et al. 2019, arXiv:1906.02994).
    """
    nats = nats.double().cpu()
    return {
        "likelihood": -nats,
        "complexity": -nats / math.log(2) - code_bits(images),
        "typicality": (nats - train_nats).abs(),
    }
