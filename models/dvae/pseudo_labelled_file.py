"""The clustered images with their pseudo-labels, as a file that ``--data npz:FILE`` reads: no label of a person is in it."""

import io

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.data.dataset import Data
from models.events import File
from models.parts.clustering.clustering import Clusters

NAME = "pseudo_labelled.npz"
LEAST = 3  # images of a class, of which each split needs one


def pseudo_labelled(data: Data, chosen: Clusters, test: Tensor) -> File:
    """Training images with their clusters, and the test images with the clusters that they are taken for, ``test`` (n,).

    Images of a cluster of fewer than LEAST are left out. True labels are there under names of their own, ``true_train`` and
    ``true_test``, for whoever wants to judge.
    """
    counts = np.bincount(chosen.ids, minlength=chosen.k)
    train, held_out = (np.flatnonzero(counts[ids] >= LEAST) for ids in (chosen.ids, test.numpy()))
    arrays = {
        "x_train": _channels_last(data.train.images[: len(chosen.ids)])[train],
        "y_train": chosen.ids[train],
        "x_test": _channels_last(data.test.images)[held_out],
        "y_test": test.numpy()[held_out],
        "true_train": data.train.labels[: len(chosen.ids)].numpy()[train],
        "true_test": data.test.labels.numpy()[held_out],
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)  # type: ignore[arg-type]
    return File(NAME, buffer.getvalue())


def _channels_last(images: Tensor) -> NDArray[np.uint8]:
    """(n, channels, height, width) to (n, height, width), or (n, height, width, channels) where there are several."""
    array: NDArray[np.uint8] = images.numpy()
    return array[:, 0] if array.shape[1] == 1 else np.ascontiguousarray(array.transpose(0, 2, 3, 1))
