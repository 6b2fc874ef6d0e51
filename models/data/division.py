"""How images are divided into training, validation and test: stratified, and the same for everyone, for ever."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.data.arrays import Arrays, Part


def splits(arrays: Arrays) -> list[Part]:
    """Train, validation and test."""
    images, labels = arrays.images, arrays.labels
    held = [part for part in (arrays.validation, arrays.test) if isinstance(part, int)]
    train, *divided = [(images[indices], labels[indices]) for indices in divide(labels, held)]
    return [
        train,
        *(divided.pop(0) if isinstance(part, int) else _in_order(part) for part in (arrays.validation, arrays.test)),
    ]


def _in_order(part: Part) -> Part:
    images, labels = part
    order = _shuffled(len(labels))
    return images[order], labels[order]


def _shuffled(n: int) -> NDArray[np.int64]:
    """The numbers below n in an order fixed for ever: numpy promises that this old generator's stream never changes."""
    return np.random.RandomState(0).permutation(n).astype(np.int64)


def divide(labels: NDArray[np.int64], sizes: Sequence[int]) -> list[NDArray[np.int64]]:
    """Indices of what remains, then of a part for each of ``sizes``: disjoint, stratified, each in shuffled order.

    A part has at least one image of each class, and so may be larger than asked for where classes are small.
    """
    order = _shuffled(len(labels))
    counts = np.bincount(labels)
    quotas = [_quotas(counts, size) for size in sizes]
    part = np.zeros(len(labels), np.int64)
    for label in range(len(counts)):
        members, start = order[labels[order] == label], 0
        for number, quota in enumerate(quotas, 1):
            part[members[start : start + quota[label]]] = number
            start += quota[label]
    # Shuffled anew: in the order of the choice, what remains would begin with the classes whose quota was full first.
    parts = [np.flatnonzero(part == number) for number in range(len(sizes) + 1)]
    return [indices[_shuffled(len(indices))] for indices in parts]


def _quotas(counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """How many of each class make ``size`` in proportion, by largest remainder; at least one each."""
    exact = counts * (size / counts.sum())
    quota: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    most_owed = np.argsort(quota - exact, kind="stable")
    quota[most_owed[: size - quota.sum()]] += 1
    quota[quota == 0] = 1
    return quota
