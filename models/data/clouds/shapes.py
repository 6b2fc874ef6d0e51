"""Procedural CAD shapes of eight classes, with their exact triangles: point clouds without a download.

An instance is a function of its class and its seed alone, and splits are by seed: no shape is in two of them.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.data.clouds import meshes
from models.data.clouds.arrays import DENSE, CloudArrays, in_unit_sphere
from models.data.clouds.meshes import Mesh

TRAINING, VALIDATION, TEST = 64, 8, 8  # instances of each class
Chance = np.random.RandomState


def _between(chance: Chance, low: float, high: float) -> float:
    return float(chance.uniform(low, high))


def ball(chance: Chance) -> Mesh:
    exponents = _between(chance, 0.5, 1.4), _between(chance, 0.5, 1.4)
    return meshes.superellipsoid(chance.uniform(0.5, 1.0, 3).tolist(), exponents)


def ring(chance: Chance) -> Mesh:
    return meshes.torus(1.0, _between(chance, 0.2, 0.45))


def cone(chance: Chance) -> Mesh:
    """From a cylinder to a cone that is nearly sharp."""
    top, height = _between(chance, 0.1, 1.0), _between(chance, 0.8, 2.5)
    return meshes.revolution([(0, 0), (0.5, 0), (1.0, 0), (top, height), (0, height)])


def bottle(chance: Chance) -> Mesh:
    neck, shoulder, height = _between(chance, 0.12, 0.2), _between(chance, 1.0, 1.5), _between(chance, 2.0, 2.4)
    return meshes.revolution([(0, 0), (0.5, 0), (0.5, shoulder), (neck, shoulder + 0.4), (neck, height), (0, height)])


def _legs(width: float, depth: float, height: float, thick: float) -> list[Mesh]:
    x, y = (width - thick) / 2, (depth - thick) / 2
    return [
        meshes.box((a * x, b * y, height / 2), (thick, thick, height)) for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))
    ]


def table(chance: Chance) -> Mesh:
    width, depth, height = _between(chance, 1.6, 2.4), _between(chance, 1.0, 1.6), _between(chance, 0.8, 1.4)
    thick = _between(chance, 0.15, 0.25)
    top = meshes.box((0, 0, height + thick / 2), (width, depth, thick))
    return np.concatenate([top, *_legs(width, depth, height, thick)])


def chair(chance: Chance) -> Mesh:
    width, height, back = _between(chance, 0.9, 1.3), _between(chance, 0.8, 1.2), _between(chance, 0.9, 1.5)
    thick = _between(chance, 0.15, 0.22)
    seat = meshes.box((0, 0, height + thick / 2), (width, width, thick))
    rest = meshes.box((0, (width - thick) / 2, height + thick + back / 2), (width, thick, back))
    return np.concatenate([seat, rest, *_legs(width, width, height, thick)])


def lamp(chance: Chance) -> Mesh:
    """A foot, a pole and a shade that is open below and above."""
    height, foot, pole = _between(chance, 1.5, 2.2), _between(chance, 0.5, 0.8), _between(chance, 0.08, 0.14)
    below, above, shade = _between(chance, 0.6, 0.9), _between(chance, 0.2, 0.5), _between(chance, 0.5, 0.8)
    stand = meshes.revolution([(0, 0), (foot, 0), (foot, 0.15), (pole, 0.15), (pole, height), (0, height)])
    return np.concatenate([stand, meshes.revolution([(below, height - shade), (above, height)])])


def shelf(chance: Chance) -> Mesh:
    width, depth, height = _between(chance, 1.0, 1.6), _between(chance, 0.5, 0.8), _between(chance, 1.6, 2.4)
    thick, boards = _between(chance, 0.12, 0.18), int(chance.randint(3, 6))
    sides = [meshes.box((side * (width - thick) / 2, 0, height / 2), (thick, depth, height)) for side in (-1, 1)]
    heights = np.linspace(thick / 2, height - thick / 2, boards)
    return np.concatenate([*sides, *(meshes.box((0, 0, z), (width - 2 * thick, depth, thick)) for z in heights)])


CLASSES: Mapping[str, Callable[[Chance], Mesh]] = {
    function.__name__: function for function in (ball, ring, cone, bottle, table, chair, lamp, shelf)
}


def instance(name: str, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Points (2048, 3) and triangles (t, 3, 3) of a shape, turned around the vertical axis, in the unit sphere."""
    chance = np.random.RandomState(1_000 * list(CLASSES).index(name) + seed)
    mesh = CLASSES[name](chance)
    angle = _between(chance, 0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    mesh = mesh @ turn.T
    return in_unit_sphere(name, meshes.sample(mesh, DENSE, chance), mesh)


def shapes(folder: Path) -> CloudArrays:
    """8 classes of 80 instances each; nothing is read from ``folder``."""
    return _all_instances()


@lru_cache(maxsize=1)
def _all_instances() -> CloudArrays:
    parts = []
    for first, count in ((0, TRAINING), (TRAINING, VALIDATION), (TRAINING + VALIDATION, TEST)):
        numbers = [label for _ in range(count) for label in range(len(CLASSES))]
        seeds = [first + number for number in range(count) for _ in CLASSES]
        drawn = [instance(list(CLASSES)[label], seed) for label, seed in zip(numbers, seeds, strict=True)]
        clouds = np.stack([points for points, _ in drawn])
        parts.append((clouds, np.array(numbers, np.int64), tuple(triangles for _, triangles in drawn)))
    (clouds, labels, triangles), validation, test = parts
    return CloudArrays("procedural CAD shapes", clouds, labels, tuple(CLASSES), triangles, validation, test)
