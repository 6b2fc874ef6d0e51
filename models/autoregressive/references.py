"""Models that need no training, as reference values for bits per dimension."""

import math

import torch

from models.autoregressive.networks import Network
from models.data.dataset import Data
from models.parts.evaluation.likelihood import bits


def independent_bits(net: Network, data: Data) -> float:
    """Bits per dimension of validation images if each token had its place's frequencies among training images.

    Each token counts once more than it was seen, so none is impossible.
    """
    counts = torch.ones(net.tokens.places, net.tokens.size, dtype=torch.float64)
    train, validation = (net.tokens.encode(split.floats()).cpu() for split in (data.train, data.validation))
    counts.scatter_add_(1, train.T, torch.ones_like(train.T, dtype=torch.float64))
    law = (counts / counts.sum(1, keepdim=True)).log()
    return bits(float(law.gather(1, validation.T).sum(0).mean()), data.shape)


def constant_bits(net: Network, data: Data) -> float:
    """The same with one distribution for all places."""
    train, validation = (net.tokens.encode(split.floats()).cpu() for split in (data.train, data.validation))
    counts = torch.bincount(train.flatten(), minlength=net.tokens.size).double() + 1
    law = (counts / counts.sum()).log()
    return bits(float(law[validation].sum(1).mean()), data.shape)


def table_digits(data: Data, levels: int) -> int:
    """Decimal digits of the number of free parameters of a full table over all images, levels^dimensions − 1."""
    return math.floor(math.prod(data.shape) * math.log10(levels)) + 1
