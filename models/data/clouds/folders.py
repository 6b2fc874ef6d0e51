"""Folders of meshes (``off:``) and of points (``xyz:``) of the user's own: a sub-folder for each class, or none."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.data.arrays import DataError
from models.data.clouds import meshes
from models.data.clouds.arrays import DENSE, LEAST_POINTS, CloudArrays, in_unit_sphere, refuse_few

Shape = tuple[NDArray[np.float32], NDArray[np.float32]]  # points (n, 3) and triangles (t, 3, 3)


def off_folder(folder: Path) -> CloudArrays:
    """Meshes in the Object File Format, as ModelNet has them: ``chair/train/chair_0001.off``, or ``chair/anything.off``.

    2,048 points are drawn from each surface, and distances are to its exact triangles.
    """
    return _read(folder, "off", lambda path, number: _mesh(path, np.random.RandomState(number)))


def xyz_folder(folder: Path) -> CloudArrays:
    """Text files with a point on each line, ``x y z``, perhaps with more numbers behind: ``chair/anything.xyz``.

    Of each at most 2,048 points are taken, and as many of all files: those of the smallest.
    """
    return _read(folder, "xyz", _points)


def _read(folder: Path, ending: str, read: Callable[[Path, int], Shape]) -> CloudArrays:
    if not folder.is_dir():
        raise DataError(f"there is no folder '{folder}'; give the path of one with .{ending} files")
    paths = sorted(folder.rglob(f"*.{ending}"))
    if not paths:
        raise DataError(
            f"'{folder}' has no .{ending} files; give the folder in which they are, one below it for a class"
        )
    of_class = [path.relative_to(folder).parts[0] if path.parent != folder else folder.name for path in paths]
    classes = tuple(sorted(set(of_class)))
    refuse_few(f"'{folder}'", len(paths), len(classes))
    labels = np.array([classes.index(name) for name in of_class], np.int64)
    drawn = [read(path, number) for number, path in enumerate(paths)]
    places = [len(np.unique(points, axis=0)) for points, _ in drawn]
    if (fewest := min(places)) < LEAST_POINTS:
        path, n = paths[places.index(fewest)], len(drawn[places.index(fewest)][0])
        what = f"{n} points" if fewest == n else f"{n} points at {fewest} places, as where one is far from all others"
        raise DataError(f"{path} has {what}; leave out clouds of fewer than {LEAST_POINTS}")
    n = min(len(points) for points, _ in drawn)
    clouds = np.stack([points[:n] for points, _ in drawn])
    triangles = tuple(mesh for _, mesh in drawn) if all(len(mesh) for _, mesh in drawn) else ()
    notes = () if triangles else ("no triangles: surface distances are to the nearest point of the clean cloud",)
    tenth = max(len(classes), round(len(paths) / 10))
    return CloudArrays(f".{ending} files", clouds, labels, classes, triangles, tenth, tenth, notes)


def _mesh(path: Path, chance: np.random.RandomState) -> Shape:
    """Also where the counts stand on the line of the word OFF, as in some files of ModelNet."""
    words = path.read_text(errors="replace").split()
    if not words or not words[0].startswith("OFF"):
        raise DataError(f"{path} does not begin with OFF; give meshes in the Object File Format")
    words = ([words[0][3:]] if words[0] != "OFF" else []) + words[1:]
    try:
        n, faces = int(words[0]), int(words[1])
        corners = np.array(words[3 : 3 + 3 * n], np.float64).reshape(n, 3)
        triangles, place = list[tuple[int, int, int]](), 3 + 3 * n
        for _ in range(faces):
            sides = int(words[place])
            face = [int(word) for word in words[place + 1 : place + 1 + sides]]
            triangles += [(face[0], face[i], face[i + 1]) for i in range(1, sides - 1)]
            place += 1 + sides
        mesh = corners[np.array(triangles)]
    except (ValueError, IndexError) as error:
        raise DataError(f"{path} is not a whole mesh ({error}); leave it out") from None
    mesh = mesh[meshes.areas(mesh) > 0]
    if not len(mesh):
        raise DataError(f"{path} has no triangle with an area; leave it out")
    return in_unit_sphere(str(path), meshes.sample(mesh, DENSE, chance), mesh)


def _points(path: Path, number: int) -> Shape:
    try:
        values = np.loadtxt(path, np.float64, usecols=(0, 1, 2), ndmin=2)
    except (ValueError, IndexError) as error:
        raise DataError(f"{path} holds no points ({error}); write x y z on each line") from None
    order = np.random.RandomState(number).permutation(len(values))[:DENSE]
    if not len(order):
        return np.zeros((0, 3), np.float32), np.zeros((0, 3, 3), np.float32)
    return in_unit_sphere(str(path), values[order])
