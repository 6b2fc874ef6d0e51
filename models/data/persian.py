"""Persian digits ۰ … ۹, rendered from the fonts that are there and varied, so that a class is a distribution of figures."""

from __future__ import annotations

import hashlib
import importlib.util
import math
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from models.data.arrays import CLASSES, Arrays, DataError, held_out

if TYPE_CHECKING:  # where they are drawn already, nothing waits for torch
    from torch import Tensor

VERSION = "1"  # of what is drawn; a new one leaves older caches alone
DIGITS = "۰۱۲۳۴۵۶۷۸۹"  # U+06F0 … U+06F9: the Arabic ones of U+0660 … draw 4, 5 and 6 otherwise
ABSENT = "\U0010fffd"  # of private use: what a font draws for it, it draws for every character that it lacks
EXCLUDED = ("nastaliq", "unifont")  # Urdu's figures; pixels
EACH = 1_000  # images of a class
SIDE = 28
FINE = 4  # pixels of a glyph's own picture for one of the image
HEIGHT = 19  # of ۱, in pixels, before it is varied
FOLDERS = {
    "linux": ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts"),
    "darwin": ("/System/Library/Fonts", "/Library/Fonts", "~/Library/Fonts"),
    "win32": (r"C:\Windows\Fonts",),
}


def persian(folder: Path) -> Arrays:
    """10,000 binary images of 28×28 pixels, white on black; drawn once for a set of fonts, and kept in ``folder``."""
    files = list(font_files())
    digest = hashlib.sha256(repr([VERSION, [(file.name, file.stat().st_size) for file in files]]).encode()).hexdigest()
    path = folder / "persian" / f"{VERSION}-{digest[:16]}.npz"
    rendering = _read(path)
    if rendering is None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_suffix(".lock")):
                rendering = _read(path) or _write(path, *_render(files))
        except OSError:  # nothing can be kept there
            rendering = _render(files)
    names, images = rendering
    labels = np.arange(len(images), dtype=np.int64) % 10
    return Arrays(f"rendered from {', '.join(names)}", images, labels, CLASSES, *held_out(len(images)))


def font_files() -> Iterator[Path]:
    """Those that matplotlib brings, then the machine's, in a fixed order."""
    matplotlib = importlib.util.find_spec("matplotlib")
    for place in matplotlib.submodule_search_locations or () if matplotlib else ():
        yield from sorted(Path(place, "mpl-data", "fonts", "ttf").glob("*.ttf"))
    for place in FOLDERS.get(sys.platform, ()):
        files = Path(place).expanduser().rglob("*")
        yield from sorted(file for file in files if file.suffix.lower() in (".ttf", ".otf") and file.is_file())


def glyphs(file: Path) -> tuple[str, list[NDArray[np.float32]]] | None:
    """The name of a font and how far each pixel of its ten figures is inside the figure; None if it has not all of them.

    A figure is a square array (4 × 28 pixels a side) of distances to the outline in pixels of the image, negative outside.
    """
    from PIL import Image, ImageDraw, ImageFont
    from scipy.ndimage import distance_transform_edt

    try:
        font = ImageFont.truetype(str(file), 40)
        name = " ".join(part or "" for part in font.getname())
        boxes = [bytes(font.getmask(text)) for text in (*DIGITS, ABSENT)]
        if any(word in f"{name} {file.name}".lower() for word in EXCLUDED) or len(set(boxes)) < len(boxes):
            return None
        left, top, right, bottom = font.getbbox(DIGITS[1])
        font = ImageFont.truetype(str(file), round(40 * HEIGHT * FINE / (bottom - top)))
    except (OSError, ZeroDivisionError, ValueError):
        return None  # no font that can be read, or of another kind
    side, distances = SIDE * FINE, []
    for digit in DIGITS:
        left, top, right, bottom = font.getbbox(digit)
        picture = Image.new("L", (side, side))
        place = ((side - left - right) / 2, (side - top - bottom) / 2)
        ImageDraw.Draw(picture).text(place, digit, font=font, fill=255)
        inside = np.asarray(picture) > 127
        distances.append(((distance_transform_edt(inside) - distance_transform_edt(~inside)) / FINE).astype(np.float32))
    return name, distances


def _render(files: Sequence[Path]) -> tuple[list[str], NDArray[np.uint8]]:
    import torch

    fonts: dict[str, list[NDArray[np.float32]]] = {}
    for file in files:
        font = glyphs(file)
        if font is not None:
            fonts.setdefault(*font)  # the same font may lie in several places
    if not fonts:
        raise DataError("no font here holds the Persian digits U+06F0 to U+06F9; install matplotlib's, or fonts-noto")
    figures = torch.from_numpy(np.stack([np.stack(font_figures) for font_figures in fonts.values()]))
    labels = np.arange(10 * EACH) % 10
    images = draw(figures, torch.from_numpy(labels), np.random.RandomState(0))
    return list(fonts), images.numpy()


def draw(figures: Tensor, labels: Tensor, generator: np.random.RandomState) -> Tensor:
    """A varied image, uint8 (n, 1, 28, 28) of 0 and 255, of each label (n,), from figures (fonts, 10, side, side).

    Each is turned by up to 15°, sheared, scaled, moved, warped elastically, and its stroke is made thinner or wider.
    """
    import torch
    import torch.nn.functional as F

    n = len(labels)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.from_numpy(generator.uniform(low, high, (n, *shape)).astype(np.float32))

    font = torch.from_numpy(generator.randint(len(figures), size=n))
    angle, shear = uniform(-15, 15) * math.pi / 180, uniform(-0.2, 0.2)
    scale = uniform(0.85, 1.1, 2)
    scale[labels == 0] *= uniform(1.5, 2.2)[labels == 0, None]  # a dot of two pixels could not be told from dirt
    # From where in the figure a pixel of the image is taken: the inverse of turning and scaling what is there.
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(n, 2, 2)
    lean = torch.eye(2).repeat(n, 1, 1)
    lean[:, 0, 1] = shear
    matrix = lean @ turn / scale[:, :, None]
    grid = F.affine_grid(torch.cat([matrix, uniform(-0.1, 0.1, 2, 1)], 2), [n, 1, SIDE, SIDE], align_corners=False)
    warp = torch.from_numpy(generator.normal(0, 0.04, (n, 2, 4, 4)).astype(np.float32))
    grid = grid + F.interpolate(warp, (SIDE, SIDE), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    inside = torch.cat(
        [
            F.grid_sample(
                figures[font[batch], labels[batch], None], grid[batch], align_corners=False, padding_mode="border"
            )
            for batch in torch.arange(n).split(1000)  # type: ignore[no-untyped-call]
        ]
    )
    stroke = figures[:, 1].amax((1, 2))[font]  # half its width: ۱ is nothing but a stroke
    wider = torch.minimum((uniform(1.0, 1.9) - stroke).maximum(-0.35 * stroke), torch.tensor(0.9))
    wider[labels == 0] = uniform(-0.3, 0.3)[labels == 0]
    return (inside + wider.view(n, 1, 1, 1) > 0).to(torch.uint8) * 255


def _read(path: Path) -> tuple[list[str], NDArray[np.uint8]] | None:
    """What is kept; None where nothing is, or nothing whole."""
    try:
        with (
            path.open("rb") as opened,
            np.load(opened, allow_pickle=False) as file,
        ):  # numpy leaves open what it cannot read
            bits = np.unpackbits(file["bits"], axis=-1, count=SIDE * SIDE)
            return [str(name) for name in file["fonts"]], bits.reshape(-1, 1, SIDE, SIDE) * np.uint8(255)
    except Exception:  # whatever a damaged archive makes numpy raise
        return None


def _write(path: Path, names: list[str], images: NDArray[np.uint8]) -> tuple[list[str], NDArray[np.uint8]]:
    """In one piece or not at all."""
    unfinished = path.with_name(f"{path.stem}.{os.getpid()}.npz")
    try:
        np.savez(unfinished, bits=np.packbits(images.reshape(len(images), -1) > 0, axis=-1), fonts=np.array(names))
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return names, images
