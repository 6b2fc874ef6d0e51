"""What a pixel's parents leave unsaid: its mutual information with one more neighbour, given the parents."""

import torch
from torch import Tensor

from models.autoregressive.config import Neighbours
from models.autoregressive.neighbours import offsets

ABOVE, ASIDE = 5, 6  # rows above and columns to either side that are looked at
N_IMAGES = 500


def conditional_information(images: Tensor, neighbours: Neighbours) -> Tensor:
    """Bits that each earlier pixel of a window tells of a pixel beside its parents, (6, 13): NaN at parents and later pixels.

    ``images`` (n, height, width) bool; all places count together. Entropies are corrected by half the number of outcomes
    (Miller 1955), without which rare configurations of many parents would look informative.
    """
    n, height, width = images.shape
    padded = torch.nn.functional.pad(images.long(), (ASIDE, ASIDE, ABOVE, 0))

    def shifted(down: int, right: int) -> Tensor:
        return padded[:, ABOVE + down : ABOVE + down + height, ASIDE + right : ASIDE + right + width].flatten()

    parents = offsets(neighbours)
    configurations = torch.zeros(n * height * width, dtype=torch.int64)
    for down, right in parents:
        configurations = 2 * configurations + shifted(down, right)
    _, known = torch.unique(configurations, return_inverse=True)
    child = shifted(0, 0)
    with_child, alone = _entropy(2 * known + child), _entropy(known)
    result = torch.full((ABOVE + 1, 2 * ASIDE + 1), torch.nan, dtype=torch.float64)
    for down in range(-ABOVE, 1):
        for right in range(-ASIDE, ASIDE + 1):
            if (down, right) in parents or (down == 0 and right >= 0):
                continue
            other = shifted(down, right)
            joint = _entropy(4 * known + 2 * child + other)
            result[ABOVE + down, ASIDE + right] = with_child + _entropy(2 * known + other) - joint - alone
    return result


def _entropy(outcomes: Tensor) -> float:
    """In bits, of outcomes (n,) from 0."""
    counts = torch.bincount(outcomes)
    counts = counts[counts > 0].double()
    n = counts.sum()
    nats = torch.special.entr(counts / n).sum() + (len(counts) - 1) / (2 * n)
    return float(nats) / torch.log(torch.tensor(2.0)).item()
