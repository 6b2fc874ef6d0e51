"""Events as pictures: uint8 arrays (height, width, 3), drawn without pyplot or any other global state."""

import io
import math
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
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from models.events import Curve, Images, Matrix, Points

Picture = NDArray[np.uint8]
Drawing = Figure  # a figure before it is a picture: whoever shows it chooses the format

# Okabe and Ito's palette, told apart with any colour vision; without its yellow, which is lost on white.
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
BEST = LINES[1]
BORDER, NAN = 128, (255, 0, 255)


def grid(event: Images) -> Picture:
    """The images in rows of ``columns`` on mid-grey, each magnified by a whole factor to at least 48 pixels of width.

    Values beyond [-1, 1] are clamped; a pixel with a NaN in any channel is magenta.
    """
    images = event.images.detach().cpu().float().numpy()
    if images.ndim != 4 or images.shape[1] not in (1, 3) or images.size == 0:
        raise ValueError(f"a grid is drawn from (n, 1 or 3, height, width), not from {images.shape}")
    n, channels, height, width = images.shape
    levels = np.rint((np.clip(np.nan_to_num(images), -1, 1) + 1) * 127.5).astype(np.uint8)
    pixels = levels.repeat(3 // channels, axis=1).transpose(0, 2, 3, 1)
    pixels[np.isnan(images).any(axis=1)] = NAN
    factor, border, columns = math.ceil(48 / width), 4, max(1, min(event.columns, n))
    height, width = height * factor + border, width * factor + border  # of an image with its upper and left border
    picture = np.full((math.ceil(n / columns) * height + border, columns * width + border, 3), BORDER, np.uint8)
    for i, image in enumerate(pixels.repeat(factor, axis=1).repeat(factor, axis=2)):
        y, x = i // columns * height, i % columns * width
        picture[y + border : y + height, x + border : x + width] = image
    return picture


def curve(event: Curve) -> Picture:
    """Lines with a legend; NaN leaves a gap. A logarithmic axis is given up where no value is above 0."""
    figure = blank(7, 4, f"{event.key} at step {event.step:,}")
    axes = figure.add_subplot(xlabel=event.x_label, ylabel=event.y_label)
    marker = "o" if len(event.x) <= 40 else None  # else a value between two gaps would not be seen
    for i, (name, values) in enumerate(event.lines.items()):
        color, style = LINES[i % len(LINES)], ("-", "--", ":", "-.")[i // len(LINES) % 4]
        axes.plot(event.x, values, style, color=color, marker=marker, markersize=3.5, label=short(name, 24))
    if event.log_y and any(value > 0 for values in event.lines.values() for value in values):
        axes.set_yscale("log", nonpositive="mask")
    axes.grid(alpha=0.3)
    if all(x == round(x) for x in event.x):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(event.lines) > 1:
        figure.legend(loc="outside right center", fontsize=9)
    return pixels(figure)


def matrix(event: Matrix) -> Picture:
    """A heat map from 0, with its numbers written into up to 20 rows and columns; a NaN is left white."""
    values = event.values.detach().cpu().double().numpy()
    n_rows, n_columns = values.shape
    finite = values[np.isfinite(values)]
    form = ".0f" if (finite == np.rint(finite)).all() else ".2f"
    numbers = {place: f"{value:{form}}" for place, value in np.ndenumerate(values)} if max(values.shape) <= 20 else {}
    cell = max(0.42, 0.1 + 0.09 * max(map(len, numbers.values()))) if numbers else 0.2  # inches, for letters of 0.09
    width, height = min(14.0, max(3.5, 1.8 + cell * n_columns)), min(13.0, max(2.5, 1.4 + min(cell, 0.42) * n_rows))
    figure = blank(width, height, f"{event.key} at step {event.step:,}")
    axes = figure.add_subplot(xlabel=event.column_label, ylabel=event.row_label)
    low, high = min(0.0, finite.min(initial=0)), finite.max(initial=0)
    image: Any = axes.imshow(values, cmap="viridis", vmin=low, vmax=high if high > low else low + 1, aspect="auto")
    figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02)
    every_x, every_y = math.ceil(0.25 * n_columns / (width - 1.8)), math.ceil(0.2 * n_rows / (height - 1.4))
    columns, rows = ([short(name, 16) for name in names] for names in (event.columns, event.rows))
    slanted: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    crowded = max(map(len, columns)) > 10 * cell * every_x
    axes.set_xticks(range(0, n_columns, every_x), columns[::every_x], fontsize=9, **(slanted if crowded else {}))
    axes.set_yticks(range(0, n_rows, every_y), rows[::every_y], fontsize=9)
    for (row, column), number in numbers.items():
        color = "white" if image.norm(values[row, column]) < 0.55 else "black"  # NaN is not below
        axes.text(column, row, number, ha="center", va="center", fontsize=9, color=color)
    return pixels(figure)


def stacked(event: Matrix) -> Picture:
    """A bar for each row, of a part for each column, with their colours beside."""
    values = event.values.detach().cpu().double().numpy()
    figure = blank(min(14.0, max(5.0, 2.2 + 0.42 * len(values))), 4, f"{event.key} at step {event.step:,}")
    axes = figure.add_subplot(xlabel=event.row_label, ylabel=event.column_label)
    many = len(event.columns) > 10
    below, places = np.zeros(len(values)), np.arange(len(values))
    for i, name in enumerate(event.columns):
        color = matplotlib.colormaps["tab20"](i % 20) if many else f"C{i}"
        axes.bar(places, values[:, i], 0.85, bottom=below, color=color, label=short(name, 12))
        below = below + values[:, i]
    axes.set_xticks(places, [short(name, 16) for name in event.rows], fontsize=9)
    axes.margins(x=0.01)
    figure.legend(loc="outside right center", fontsize=9, reverse=True)
    return pixels(figure)


def points(event: Points) -> Picture:
    """A panel for each way of grouping the points, a colour for each group, its legend below."""
    places = event.places.detach().cpu().double().numpy()
    figure = blank(4.6 * len(event.groups), 5.2, f"{event.key} at step {event.step:,}")
    panels = figure.subplots(1, len(event.groups), squeeze=False)[0]
    for axes, (title, names) in zip(panels, event.groups.items(), strict=True):
        of_point = np.array(names)
        groups = sorted(set(names), key=lambda name: (len(name), name))  # 2 before 10
        for i, name in enumerate(groups):
            color = matplotlib.colormaps["tab20"](i % 20) if len(groups) > 10 else f"C{i}"
            axes.scatter(*places[of_point == name].T, s=9, color=color, linewidths=0, label=short(name, 12))
        axes.set(title=title, xticks=[], yticks=[])
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=5, fontsize=8, markerscale=2, frameon=False)
    return pixels(figure)


def draw(event: Images | Curve | Matrix | Points) -> Picture:
    """The picture of an event that has one."""
    if isinstance(event, Images):
        return grid(event)
    if isinstance(event, Points):
        return points(event)
    if isinstance(event, Curve):
        return curve(event)
    return stacked(event) if event.stacked else matrix(event)


def beside(pictures: Sequence[tuple[str, Picture]], columns: int = 4) -> Picture:
    """Titled pictures in rows of ``columns``, each at its own size; a title is folded to the width of its column."""
    if not pictures:
        raise ValueError("there are no pictures to put beside each other")
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
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for i, (title, (_, picture)) in enumerate(zip(titles, pictures, strict=True)):
        row, column = divmod(i, columns)
        x = sum(widths[:column]) + gap * (column + 1)
        y = sum(heads[: row + 1] + bodies[:row]) + gap * (row + 1)
        pen.multiline_text((x, y - line * (title.count("\n") + 1)), title, fill="black", font=font, spacing=2)
        sheet.paste(Image.fromarray(picture), (x, y))
    return np.array(sheet)


def files_beside(files: Iterable[tuple[str, Path]], columns: int = 4, widest: int = 10_000) -> bytes | None:
    """Titled PNG files beside each other, each made at most ``widest`` pixels wide, as PNG; None where none of them exists."""
    there = []
    for title, path in files:
        if path.exists():
            picture = Image.open(path).convert("RGB")
            picture.thumbnail((widest, picture.height), Image.Resampling.LANCZOS)
            there.append((title, np.asarray(picture)))
    return png(beside(there, columns)) if there else None


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
