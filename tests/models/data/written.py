"""Small data sets written to disk, with images that all differ."""

import struct
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.data.dataset import Split


def counted(*splits: Split) -> Counter[bytes]:
    """How often each image comes with each label."""
    return Counter(
        image.tobytes() + bytes([label])
        for split in splits
        for image, label in zip(split.images.numpy(), split.labels.tolist(), strict=True)
    )


def numbered(n: int, first: int = 0, shape: tuple[int, ...] = (4, 4)) -> NDArray[np.uint8]:
    """Images that all differ: the upper left pixels spell out their number."""
    images = np.zeros((n, *shape), np.uint8)
    flat = images.reshape(n, int(np.prod(shape)))
    flat[:, :2] = np.arange(first, first + n, dtype=">u2").view(np.uint8).reshape(n, 2)
    return images


def labelled(n: int, classes: int = 10) -> NDArray[np.int64]:
    return np.arange(n) % classes


def write_npz(path: Path, **changed: Any) -> str:
    arrays: dict[str, Any] = {
        "x_train": numbered(60),
        "y_train": labelled(60, 3),
        "x_test": numbered(30, 60),
        "y_test": labelled(30, 3),
    } | changed
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return f"npz:{path}"


def write_folder(path: Path, counts: dict[str, int], mode: str = "L", size: tuple[int, int] = (6, 5)) -> str:
    shape = size[::-1] if mode == "L" else (*size[::-1], 3)
    first = 0
    for name, n in counts.items():
        (path / name).mkdir(parents=True)
        for index, pixels in enumerate(numbered(n, first, shape)):
            Image.fromarray(pixels).save(path / name / f"{index:03}.png")
        first += n
    return f"folder:{path}"


def write_idx(folder: Path, n_train: int, n_test: int) -> Path:
    """Unpacked files as MNIST's, of numbered images."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix, n, first in (("train", n_train, 0), ("t10k", n_test, n_train)):
        images = numbered(n, first, (28, 28))
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 2051, n, 28, 28) + images.tobytes())
        labels = labelled(n).astype(np.uint8)
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, n) + labels.tobytes())
    return raw


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
