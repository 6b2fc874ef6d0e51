"""Data sets that are odd but real: few images or classes, odd sides, colours, values and labels; for ``odd_data``."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Write = Callable[[], str]  # writes into the current folder, and names the data


def images() -> Mapping[str, Write]:
    """Data sets of images, by what is odd about them."""
    return {
        "44 images of two classes": partial(_npz, (1, 8, 8), n=44, folder=True),
        "13x13": partial(_npz, (1, 13, 13)),
        "5x60": partial(_npz, (1, 5, 60)),
        "60x5": partial(_npz, (1, 60, 5)),
        "5x60, one class": partial(_npz, (1, 5, 60), classes=1),
        "colour of 16x16": partial(_npz, (3, 16, 16)),
        "colour of 5x60": partial(_npz, (3, 5, 60)),
        "two levels": partial(_npz, (1, 8, 8), change=lambda x: np.where(x > 127, 255, 0)),
        "one class": partial(_npz, (1, 8, 8), classes=1),
        "no labels": partial(_npz, (1, 8, 8), labels=False),
        "0 and 1": partial(_npz, (1, 8, 8), change=lambda x: x > 127),
        "1x28": partial(_npz, (1, 1, 28)),
        "28x1": partial(_npz, (1, 28, 1)),
        "two channels": partial(_npz, (2, 8, 8)),
        "four channels": partial(_npz, (4, 8, 8)),
        "3x3": partial(_npz, (1, 3, 3)),
        "4x4": partial(_npz, (1, 4, 4)),
        "20 images of 64x64": partial(_npz, (1, 64, 64), n=20, folder=True),
        "60 images of 64x64": partial(_npz, (1, 64, 64), n=60, folder=True),
        "a class of one image": partial(_npz, (1, 8, 8), named=lambda y: np.where(np.arange(len(y)) == 0, 9, y)),
        "a class of three images": partial(_npz, (1, 8, 8), named=lambda y: np.where(np.arange(len(y)) < 3, 9, y)),
        "validation of one class": partial(_npz, (1, 8, 8), validation=0),
        "labels of -1": partial(_npz, (1, 8, 8), named=lambda y: y - 1),
        "labels in words": partial(_npz, (1, 8, 8), named=lambda y: np.array(["cat", "dog"])[y]),
        "floats in 0 to 255": partial(_npz, (1, 8, 8), change=lambda x: x, dtype=np.float64),
        "one grey": partial(_npz, (1, 8, 8), change=lambda x: np.full_like(x, 77)),
        "black": partial(_npz, (1, 8, 8), change=np.zeros_like),
        "each image one grey": partial(_npz, (1, 8, 8), change=lambda x: x * 0 + x[..., :1, :1]),
        "copies of one image": partial(_npz, (1, 8, 8), change=lambda x: x * 0 + x[:1]),
        "noise": partial(
            _npz, (1, 8, 8), classes=2, change=lambda x: np.random.RandomState(5).randint(0, 256, x.shape)
        ),
        "30 classes": partial(_npz, (1, 8, 8), classes=30),
    }


def _npz(
    shape: tuple[int, int, int],
    n: int = 120,
    classes: int = 2,
    labels: bool = True,
    folder: bool = False,
    change: Callable[[NDArray[Any]], NDArray[Any]] = lambda x: x,
    named: Callable[[NDArray[Any]], NDArray[Any]] = lambda y: y,
    dtype: type = np.uint8,
    validation: int | None = None,
) -> str:
    """Images with a bright bar whose place tells the class, as arrays, or as a folder of PNG files."""
    chance, (channels, height, width) = np.random.RandomState(1), shape
    y = np.arange(n) % classes
    x = chance.randint(0, 90, (n, height, width, channels))
    row = (y + 1) * height // (classes + 1)
    x[np.arange(n), row] += chance.randint(80, 160, (n, width, channels))
    x = change(x).astype(dtype)
    x = x[..., 0] if channels == 1 else x
    if folder:
        from PIL import Image

        for number, (image, label) in enumerate(zip(x, y, strict=True)):
            place = Path("set", str(label))
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place / f"{number}.png")
        return "folder:set"
    y, held = named(y), n // 4
    arrays = {"x_train": x, "x_test": x[-held:]}
    if validation is not None:  # images of this class alone
        arrays |= {"x_val": x[y == validation], "y_val": y[y == validation]}
    np.savez("set.npz", **arrays, **({"y_train": y, "y_test": y[-held:]} if labels else {}))
    return "npz:set.npz"


def clouds() -> Mapping[str, Write]:
    """Data sets of point clouds, by what is odd about them."""
    points = np.random.RandomState(2).randn(12, 400, 3)
    sphere = points / np.linalg.norm(points, axis=2, keepdims=True)
    one_place = sphere.copy()
    one_place[3] = 0.5
    not_finite = sphere.copy()
    not_finite[2, 5, 1] = np.nan
    plane = sphere * [1, 1, 0]
    line = sphere * [1, 0, 0]
    doubled = np.repeat(sphere[:, :200], 2, 1)
    four_places = np.repeat(sphere[:, :4], 100, 1)
    far = sphere.copy()
    far[:, 0] = 1e6
    return {
        "clouds of one class": partial(_xyz, sphere, classes=1),
        "clouds without classes": partial(_xyz, sphere, classes=0),
        "three clouds": partial(_xyz, sphere[:3], classes=1),
        "two clouds": partial(_xyz, sphere[:2], classes=1),
        "a class of one cloud": partial(_xyz, sphere[:9], classes=8),
        "few points": partial(_xyz, sphere[:, :100], classes=2),
        "192 points": partial(_xyz, sphere[:, :192], classes=2),
        "doubled points": partial(_xyz, doubled, classes=2),
        "four places": partial(_xyz, four_places, classes=2),
        "a cloud at one place": partial(_xyz, one_place, classes=2),
        "all clouds equal": partial(_xyz, sphere[:1].repeat(12, 0), classes=2),
        "NaN": partial(_xyz, not_finite, classes=2),
        "clouds in a plane": partial(_xyz, plane, classes=2),
        "clouds on a line": partial(_xyz, line, classes=2),
        "a point far away": partial(_xyz, far, classes=2),
        "tiny clouds": partial(_xyz, sphere * 1e-30, classes=2),
        "huge clouds": partial(_xyz, sphere * 1e200, classes=2),
        "a flat mesh": _flat_meshes,
    }


def _xyz(points: NDArray[np.float64], classes: int) -> str:
    """Each cloud as a text file, in the folder of its class; all in one folder without classes."""
    for number, cloud in enumerate(points):
        folder = Path("set", f"class {number % classes}") if classes else Path("set")
        folder.mkdir(parents=True, exist_ok=True)
        np.savetxt(folder / f"{number}.xyz", cloud)
    return "xyz:set"


def _flat_meshes() -> str:
    """One triangle each."""
    for number in range(8):
        folder = Path("set", f"class {number % 2}")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.off").write_text(f"OFF\n3 1 0\n0 0 0\n1 0 0\n0 {number + 1} 0\n3 0 1 2\n")
    return "off:set"
