"""Tools for drawing: figures, pictures, image files. Nothing here uses pyplot or any other global state of matplotlib."""

import io
import os
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from orchestrator import pictures

Picture = NDArray[np.uint8]  # (height, width, 3)
Drawing = Figure  # a figure before it is a picture: whoever shows it chooses the format

# Okabe and Ito's palette, told apart with any colour vision; without its yellow, which is lost on white.
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
BEST = LINES[1]


def sheet(pictures: Sequence[tuple[str, Picture]], columns: int = 4) -> Picture:
    """One picture of titled pictures in rows of ``columns``, each at its own size; titles are folded to their columns."""
    if not pictures:
        raise ValueError("a sheet needs at least one picture")
    font = ImageFont.truetype(os.path.join(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), 13)
    columns = min(columns, len(pictures))
    gap, line, rows = 12, 17, range(0, len(pictures), columns)
    # 180 pixels hold 21 letters of a title, however narrow its picture is.
    widths = [max([180, *(picture.shape[1] for _, picture in pictures[i::columns])]) for i in range(columns)]
    titles = []
    for i, (title, _) in enumerate(pictures):
        letters = int(widths[i % columns] / font.getlength("0"))
        titles.append("\n".join(fold(part, letters) for part in title.splitlines()))
    heads = [line * max(title.count("\n") + 1 for title in titles[i : i + columns]) for i in rows]
    bodies = [max(picture.shape[0] for _, picture in pictures[i : i + columns]) for i in rows]
    size = sum(widths) + gap * (len(widths) + 1), sum(heads + bodies) + gap * (len(rows) + 1)
    page = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(page)
    for i, (title, (_, picture)) in enumerate(zip(titles, pictures, strict=True)):
        row, column = divmod(i, columns)
        x = sum(widths[:column]) + gap * (column + 1)
        y = sum(heads[: row + 1] + bodies[:row]) + gap * (row + 1)
        pen.multiline_text((x, y - line * (title.count("\n") + 1)), title, fill="black", font=font, spacing=2)
        page.paste(Image.fromarray(picture), (x, y))
    return np.array(page)


def sheet_of_files(files: Iterable[tuple[str, Path]], columns: int = 4, widest: int = 10_000) -> bytes | None:
    """One PNG file of titled PNG files, each at most ``widest`` pixels wide; None where none of them can be drawn."""
    sheet_pictures = []
    for title, path in files:
        if content := pictures.load(path):
            picture = Image.open(io.BytesIO(content)).convert("RGB")
            picture.thumbnail((widest, picture.height), Image.Resampling.LANCZOS)
            sheet_pictures.append((title, np.asarray(picture)))
    return png(sheet(sheet_pictures, columns)) if sheet_pictures else None


def value_axis(figure: Figure, axes: Axes, objective: str, log: bool) -> None:
    """Name the axis of an objective's values, and divide it."""
    figure.supylabel(fold(objective, 40), fontsize=10)
    axes.grid(alpha=0.3)
    if log:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def time_unit(seconds: float) -> tuple[int, str]:
    """The unit in which so long a time is shown: how many seconds it has, and its name."""
    return next(
        (size, name)
        for size, name in ((3600, "hours"), (60, "minutes"), (1, "seconds"))
        if seconds >= size or size == 1
    )


def png(picture: Picture | Figure) -> bytes:
    """The picture as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels(picture) if isinstance(picture, Figure) else picture).save(buffer, format="png")
    return buffer.getvalue()


def svg(figure: Figure) -> bytes:
    """The figure as an SVG file, letters drawn as lines: it looks the same wherever it is shown, at any size."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def blank(width: float, height: float, title: str) -> Figure:
    """An empty figure of so many inches, 100 pixels each."""
    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    figure.suptitle(fold(title, int(width * 11.5)), fontsize=11)
    return figure


def pixels(figure: Figure) -> Picture:
    """The figure, drawn."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(np.asarray(canvas.buffer_rgba())[..., :3])


def short(name: str, letters: int) -> str:
    """``name`` cut to so many letters."""
    return name if len(name) <= letters else name[: letters - 1] + "…"


def fold(name: str, letters: int) -> str:
    """``name`` in lines of at most so many letters, broken behind spaces, slashes and underscores if it can be."""
    lines = textwrap.wrap(name.replace("_", "_ ").replace("/", "/ "), letters)
    return "\n".join(line.replace("_ ", "_").replace("/ ", "/") for line in lines)
