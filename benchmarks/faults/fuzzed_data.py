"""Data files of odd shapes, types and values, with bytes changed or missing, for ``fuzz``."""

import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.data import dataset, kinds
from models.data.dataset import DataError


def attempt(chance: random.Random) -> str:
    """An .npz file, or a folder of images or point clouds, of odd shapes, types and values, with bytes changed or missing."""
    kind = "images"
    if chance.random() < 0.3:
        kind, spec, files = "clouds", _clouds(chance), sorted(Path("set").rglob("*.*"))
    elif chance.random() < 0.5:
        spec, files = _arrays(chance), [Path("set.npz")]
    else:
        spec, files = _pictures(chance), sorted(Path("set").rglob("*.*"))
    for _ in range(chance.randrange(4)):
        file = chance.choice(files)
        content = bytearray(file.read_bytes())
        if content and chance.random() < 0.3:
            del content[chance.randrange(len(content)) :]
        elif content:
            place = chance.randrange(len(content))
            content[place : place + chance.randrange(1, 9)] = chance.randbytes(chance.randrange(9))
        file.write_bytes(content)
    try:
        data = kinds.load(spec, Path(), kind)
        dataset.floats(data.train.images) if kind == "images" else data.train.clouds
    except DataError as error:
        return "" if len(str(error)) <= 600 and "\n" not in str(error) else f"no sentence: {error}"
    return ""


def _arrays(chance: random.Random) -> str:
    arrays: dict[str, Any] = {}
    for part in ("train", "test", "val"):
        if part != "val" or chance.random() < 0.2:
            n, side = chance.choice([0, 1, 30, 60]), chance.choice([0, 1, 4, 8])
            shape = chance.choice(
                [(n, side, side), (n, side, side + 1, 3), (n,), (n, side), (side, side, n), (n, 4, 4, 2)]
            )
            arrays[f"x_{part}"] = _filled(chance, shape)
            arrays[f"y_{part}"] = _filled(chance, chance.choice([(n,), (n, 1), (n, 3), ()]), labels=True)
    for name in [name for name in arrays if chance.random() < 0.05]:
        del arrays[name]
    save = chance.choice([np.savez, np.savez_compressed])
    save("set.npz", **arrays)
    if chance.random() < 0.1:
        with zipfile.ZipFile("set.npz", "a") as archive:
            archive.writestr(chance.choice(["x_train.npy", "notes.txt", "y_train"]), chance.randbytes(30))
    return "npz:set.npz"


def _filled(chance: random.Random, shape: tuple[int, ...], labels: bool = False) -> NDArray[Any]:
    """Mostly what it should be."""
    generator = np.random.default_rng(chance.randrange(10**6))
    if chance.random() < 0.7:
        return generator.integers(0, 3 if labels else 256, shape).astype(np.int64 if labels else np.uint8)
    kind = chance.choice(["f4", "f8", "f2", "c8", "u2", "i1", "i8", "u8", "?", "U3", "S2", "O", "M8[s]", ">u2", ">f8"])
    values = generator.integers(0, chance.choice([1, 2, 100, 256]), shape)
    if kind in ("f4", "f8", ">f8") and chance.random() < 0.5:
        return np.where(values == 0, chance.choice([np.nan, np.inf, -1e300]), values).astype(np.float64)
    return values.astype(kind)


def _pictures(chance: random.Random) -> str:
    for name in chance.choice(
        [("a", "b"), ("a",), ("train", "test"), ("a/x", "b"), ("train/a", "train/b", "test/a"), ("[/]", "\x07")]
    ):
        folder = Path("set", name)
        folder.mkdir(parents=True)
        for number in range(chance.choice([1, 3, 12])):
            mode = chance.choice(["L", "L", "L", "RGB", "1", "P", "RGBA", "I;16", "I", "F", "CMYK", "LA"])
            side = chance.choice([8, 8, 8, 1, 5])
            suffix = chance.choice([".png", ".png", ".png", ".tiff", ".bmp", ".jpg", ".gif", ".webp", ".txt"])
            try:
                Image.new(mode, (side, 8)).save(folder / f"{number}{suffix}")
            except (OSError, ValueError, KeyError):  # not every format has every mode
                Image.new("L", (8, 8)).save(folder / f"{number}.png")
    return "folder:set" + chance.choice(["", "", ":size=8", ":85/10/5", ":size=28:invert:binary", ":80/20"])


def _clouds(chance: random.Random) -> str:
    """Meshes or clouds of points, most of them whole."""
    form = chance.choice(["off", "xyz", "modelnet40"])
    for name in chance.choice([("a", "b"), ("a",), ("a/train", "a/test"), ("chair/train", "chair/test", "desk/train")]):
        folder = Path("set", name)
        folder.mkdir(parents=True)
        for number in range(chance.choice([1, 3, 12])):
            n = chance.choice([0, 3, 4, 200, 300])
            points = [
                [chance.choice([chance.random(), chance.random(), 0.0, -1e30]) for _ in range(3)] for _ in range(n)
            ]
            lines = [" ".join(map(str, point)) for point in points]
            if form != "xyz":
                faces = [f"3 {chance.randrange(n + 1)} {chance.randrange(n + 1)} {i}" for i in range(n)]
                lines = [
                    *chance.choice([("OFF", f"{n} {n} 0"), (f"OFF{n} {n} 0",), ("OFF", "# c", f"{n} x 0")]),
                    *lines,
                    *faces,
                ]
            (folder / f"{number}.{'xyz' if form == 'xyz' else 'off'}").write_text("\n".join(lines))
    return f"{form}:set"
