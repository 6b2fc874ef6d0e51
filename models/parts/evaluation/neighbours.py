"""The nearest real image to each sample: is it a copy?"""

from collections.abc import Iterator

import torch
from torch import Tensor

from models.data.dataset import Data, floats
from models.events import Event, Scalars
from models.parts.evaluation.pictures import pairs

CHUNK = 2**24  # numbers held at a time: 64 MiB


def nearest(images: Tensor, among: Tensor) -> tuple[Tensor, Tensor]:
    """For each of ``images`` (n, *shape) the index of the nearest in ``among`` (m, *shape), and its distance: (n,), (n,).

    Distances are Euclidean over all pixels in [-1, 1]; of several that are nearest, the first is taken. ``among`` may
    be bytes as a split holds them, which needs a quarter of the memory.
    """
    if not len(among):
        raise ValueError("there are no images to look for the nearest among; pass at least one")
    flat = images.flatten(1).float()
    best = flat.new_full((len(flat),), torch.inf)
    index = torch.zeros(len(flat), dtype=torch.int64, device=flat.device)
    first = 0
    for chunk in torch.split(among.flatten(1), max(1, CHUNK // max(flat.shape[1], len(flat)))):
        chunk = chunk.to(flat.device)
        others = floats(chunk) if chunk.dtype == torch.uint8 else chunk.float()
        # Not by |a|² + |b|² − 2ab, which loses the small distances that tell a copy from a likeness.
        distances = torch.cdist(flat, others, compute_mode="donot_use_mm_for_euclid_dist")
        nearer, where = distances.min(1)
        better = nearer < best
        best, index = torch.where(better, nearer, best), torch.where(better, where + first, index)
        first += len(chunk)
    return index, best


def nearest_training_images(fresh: Tensor, data: Data, step: int) -> Iterator[Event]:
    """Each sample (upper row) above the training image nearest to it in pixels (lower row): is it a copy?

    Copies would be far nearer than real images of the validation split are.
    """
    indices, distances = nearest(fresh.cpu(), data.train.images)
    yield pairs(step, "samples/nearest_training", fresh.cpu(), data.train.floats(indices))
    _, real_distances = nearest(data.validation.floats()[: len(fresh)], data.train.images)
    values = {
        "distance/nearest_training": float(distances.mean()),
        "distance/nearest_training_real": float(real_distances.mean()),
    }
    yield Scalars(step, values)
