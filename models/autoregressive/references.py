"""Models that need no training, as reference values for bits per dimension."""

import math

import torch
from torch import Tensor

from models.autoregressive.networks import Network
from models.data.dataset import Data, Split, floats
from models.parts.evaluation import likelihood

BATCH = 2_000  # images that are encoded at a time


def independent_bits(net: Network, data: Data) -> float:
    """Bits per dimension of validation images if each token had its place's frequencies among training images.

    Each token counts once more than it was seen, so none is impossible.
    """
    train, validation = (_counts(net, split) for split in (data.train, data.validation))
    return likelihood.independent_bits(train, validation, len(data.validation), data.shape)


def constant_bits(net: Network, data: Data) -> float:
    """The same with one distribution for all places."""
    train, validation = (_counts(net, split).sum(0, keepdim=True) for split in (data.train, data.validation))
    return likelihood.independent_bits(train, validation, len(data.validation), data.shape)


def _counts(net: Network, split: Split) -> Tensor:
    """How often each place has each token, (places, vocabulary)."""
    batches = torch.split(split.images, BATCH)
    return likelihood.place_counts((net.tokens.encode(floats(batch)) for batch in batches), net.tokens.size)


def table_digits(data: Data, levels: int) -> int:
    """Decimal digits of the number of free parameters of a full table over all images, levels^dimensions − 1."""
    return math.floor(math.prod(data.shape) * math.log10(levels)) + 1
