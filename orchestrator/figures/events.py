"""The picture of each kind of event. A new kind is a type in `models/events.py`, one function here, one line in ``PICTURES``."""

import math
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
from matplotlib.ticker import MaxNLocator

from models.events import Curve, Images, Matrix, PictureEvent, Points
from orchestrator.figures.canvas import LINES, Picture, blank, pixels, short

BORDER, NAN = 128, (255, 0, 255)  # around images, and of a pixel that is not a number


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
    """Stacked bars where the event asks for them, else a heat map."""
    return _stacked_bars(event) if event.stacked else _heat_map(event)


def _heat_map(event: Matrix) -> Picture:
    """Colours from 0 on, with numbers in up to 20 rows and columns; a NaN is left white."""
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


def _stacked_bars(event: Matrix) -> Picture:
    """A bar for each row, divided into a part for each column."""
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
        group_of_point = np.array(names)
        groups = sorted(set(names), key=lambda name: (len(name), name))  # 2 before 10
        for i, name in enumerate(groups):
            color = matplotlib.colormaps["tab20"](i % 20) if len(groups) > 10 else f"C{i}"
            axes.scatter(*places[group_of_point == name].T, s=9, color=color, linewidths=0, label=short(name, 12))
        axes.set(title=title, xticks=[], yticks=[])
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=5, fontsize=8, markerscale=2, frameon=False)
    return pixels(figure)


PICTURES: dict[type[Any], Callable[[Any], Picture]] = {Images: grid, Curve: curve, Matrix: matrix, Points: points}


def draw(event: PictureEvent) -> Picture:
    """The picture of an event, as pixels (height, width, 3)."""
    return PICTURES[type(event)](event)
