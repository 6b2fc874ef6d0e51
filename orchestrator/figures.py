"""Events and sweeps as pictures: uint8 arrays (height, width, 3), drawn without pyplot or any other global state."""

import io
import math
import os
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from models._events import Curve, Images, Matrix, Points

if TYPE_CHECKING:  # a worker draws its trial's pictures without importing optuna
    from optuna import Study
    from optuna.trial import FrozenTrial

Picture = NDArray[np.uint8]

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
        axes.plot(event.x, values, style, color=color, marker=marker, markersize=3.5, label=_short(name, 24))
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
    columns, rows = ([_short(name, 16) for name in names] for names in (event.columns, event.rows))
    slanted: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    crowded = max(map(len, columns)) > 10 * cell * every_x
    axes.set_xticks(range(0, n_columns, every_x), columns[::every_x], fontsize=9, **(slanted if crowded else {}))
    axes.set_yticks(range(0, n_rows, every_y), rows[::every_y], fontsize=9)
    for (row, column), number in numbers.items():
        color = "white" if image.norm(values[row, column]) < 0.55 else "black"  # NaN is not below
        axes.text(column, row, number, ha="center", va="center", fontsize=9, color=color)
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
            axes.scatter(*places[of_point == name].T, s=9, color=color, linewidths=0, label=_short(name, 12))
        axes.set(title=title, xticks=[], yticks=[])
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=5, fontsize=8, markerscale=2, frameon=False)
    return pixels(figure)


def draw(event: Images | Curve | Matrix | Points) -> Picture:
    """The picture of an event that has one."""
    if isinstance(event, Images):
        return grid(event)
    if isinstance(event, Points):
        return points(event)
    return curve(event) if isinstance(event, Curve) else matrix(event)


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
        titles.append("\n".join(_fold(part, letters) for part in title.splitlines()))
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


def sweep_figures(study: "Study", objective: str) -> dict[str, Picture]:
    """The sweep as "history", "importance", "slices" and "parallel"; of several objectives, by the first.

    A figure is left out where the study cannot bear it yet: all of them before two trials are complete with a finite
    value, all but the history while every parameter has kept one value. They are ours because optuna's own go through
    pyplot, change its global style, and are illegible from about five parameters on.
    """
    from optuna.study import StudyDirection
    from optuna.trial import TrialState

    trials = [t for t in study.get_trials(deepcopy=False, states=[TrialState.COMPLETE]) if math.isfinite(t.values[0])]
    if len(trials) < 2:
        return {}
    sign = -1 if study.directions[0] == StudyDirection.MAXIMIZE else 1
    trials.sort(key=lambda t: (-sign * t.values[0], -t.number))  # the best last: drawn on top
    values = np.array([t.values[0] for t in trials])
    log = bool(values.max() > 20 * values.min() > 0)
    title = f"{objective} of {len(trials)} trials; the best, in orange: {values[-1]:.4g} in trial {trials[-1].number}"
    figures = {"history": _history(study, trials, objective, log, title)}
    scales = [scale for name in sorted({n for t in trials for n in t.params}) if (scale := _scale(name, trials))]
    if scales:
        figures["slices"] = _slices(trials, scales, objective, log, title)
        last = _number_scale(objective, values, values.min(), values.max(), log)
        figures["parallel"] = _parallel([*scales, last], title)
        why = f"what {objective} depends on, from {len(trials)} trials"
        if (importance := _importance(study, [scale.name for scale in scales], log, why)) is not None:
            figures["importance"] = importance
    return figures


class _Scale(NamedTuple):
    """A parameter or the objective, its range laid onto [0, 1]."""

    name: str
    places: NDArray[np.float64]  # (trials,), NaN where a trial has no such parameter
    ticks: Sequence[float]
    labels: Sequence[str]


def _scale(name: str, trials: "Sequence[FrozenTrial]") -> _Scale | None:
    """None for a parameter that has had one value only."""
    if len({repr(t.params[name]) for t in trials if name in t.params}) < 2:
        return None
    distributions: list[Any] = [t.distributions[name] for t in trials if name in t.params]
    if choices := getattr(distributions[0], "choices", ()):
        ticks = np.linspace(0, 1, len(choices)).tolist()
        place = {repr(choice): tick for choice, tick in zip(choices, ticks, strict=True)}
        places = np.array([place.get(repr(t.params.get(name, ...)), np.nan) for t in trials])
        return _Scale(name, places, ticks, [_short(str(choice), 12) for choice in choices])
    low, high = min(d.low for d in distributions), max(d.high for d in distributions)  # a trial may have its own range
    values = np.array([t.params.get(name, np.nan) for t in trials], float)
    return _number_scale(name, values, low, high, distributions[0].log)


def _number_scale(name: str, values: NDArray[np.float64], low: float, high: float, log: bool) -> _Scale:
    """Ticks are both ends and a round number near the middle."""
    lay: Callable[[Any], Any] = np.log if log else np.asarray
    middle = float(f"{math.sqrt(low * high) if log else (low + high) / 2:.2g}")
    ticks = {low, round(middle) if isinstance(low, int) else middle, high}
    at = [tick for tick in sorted(ticks) if low <= tick <= high]
    places, ends = ((lay(x) - lay(low)) / ((lay(high) - lay(low)) or 1.0) for x in (values, at))
    return _Scale(name, places, ends, [f"{tick:.5g}" for tick in at])


def _history(study: "Study", trials: "list[FrozenTrial]", objective: str, log: bool, title: str) -> Picture:
    figure = blank(7.5, 4, title)
    axes = figure.add_subplot(xlabel="trial")
    numbers, values = np.array(sorted((t.number, t.values[0]) for t in trials)).T
    better = np.minimum if trials[-1].values[0] <= trials[0].values[0] else np.maximum
    axes.step(numbers, better.accumulate(values), where="post", color=BEST, label="best so far")
    axes.scatter(numbers, values, color=LINES[0], zorder=3, label="complete")
    foot: dict[str, Any] = {"color": "0.4", "transform": axes.get_xaxis_transform()}
    for state, name, marker in (("PRUNED", "pruned", "x"), ("FAIL", "failed", "+")):
        if those := [t.number for t in study.get_trials(deepcopy=False) if t.state.name == state]:
            # At the foot of the axes: their values, if any, stand for less training.
            axes.scatter(those, [0.03] * len(those), marker=marker, label=f"{name} ({len(those)})", **foot)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    value_axis(figure, axes, objective, log)
    figure.legend(loc="outside right center", fontsize=9)
    return pixels(figure)


def _slices(trials: "list[FrozenTrial]", scales: list[_Scale], objective: str, log: bool, title: str) -> Picture:
    rows, columns = math.ceil(len(scales) / 4), min(4, len(scales))
    figure = blank(max(6.5, 2.7 * columns + 1), 2.5 * rows + 0.6, title)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    values, numbers = [t.values[0] for t in trials], [t.number for t in trials]
    for axes, scale in zip(panels.flat[: len(scales)], scales, strict=True):
        points = axes.scatter(scale.places, values, c=numbers, cmap="viridis", s=28)
        axes.scatter(scale.places[-1:], values[-1:], s=110, facecolors="none", edgecolors=BEST, linewidths=2)
        levels = min(4, 1 + sum(map(len, scale.labels)) // 26)  # crowded labels take turns on several lines
        axes.set_xticks(scale.ticks, ["\n" * (i % levels) + label for i, label in enumerate(scale.labels)], fontsize=8)
        axes.set(xlim=(-0.08, 1.08), xlabel=_fold(scale.name, 26))
        value_axis(figure, axes, objective, log)
    for axes in panels.flat[len(scales) :]:
        axes.set_axis_off()
    figure.colorbar(points, ax=panels, label="trial", fraction=0.03, pad=0.02, ticks=MaxNLocator(6, integer=True))
    return pixels(figure)


def _parallel(scales: list[_Scale], title: str) -> Picture:
    """One line a trial across all parameters to the objective, the last scale: the better, the darker."""
    figure, absent = blank(max(6.5, 1.35 * len(scales) + 0.5), 5, title), -0.15
    axes = figure.add_subplot(xlim=(-0.1, len(scales) - 0.4), ylim=(-0.2, 1.05), yticks=[])
    lines = np.array([np.where(np.isnan(scale.places), absent, scale.places) for scale in scales]).T
    for line in lines:
        color = matplotlib.colormaps["viridis"](0.95 * abs(line[-1] - lines[-1, -1]))
        axes.plot(line, color=color, linewidth=1.3, alpha=0.85)
    axes.plot(lines[-1], color=BEST, linewidth=3)
    box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1}
    for x, scale in enumerate(scales):
        axes.axvline(x, color="0.3", linewidth=0.8)
        missing = [(absent, "absent")] if np.isnan(scale.places).any() else []
        for y, label in [*missing, *zip(scale.ticks, scale.labels, strict=True)]:
            axes.text(x + 0.04, y, label, va="center", fontsize=8, bbox=box, zorder=5)
    axes.set_xticks(range(len(scales)), [_fold(scale.name, 16) for scale in scales], fontsize=9)
    axes.spines[:].set_visible(False)
    return pixels(figure)


def _importance(study: "Study", names: list[str], log: bool, title: str) -> Picture | None:
    """Bars by fANOVA, of log values where they span decades; None unless two parameters can be compared.

    Optuna's default looks at the best tenth of the trials, one or two in a small sweep, and gives a factor of 4 in the
    objective no weight there. Conditional parameters are not assessed, and the figure says so.
    """
    from optuna import importance

    def target(trial: "FrozenTrial") -> float:  # -inf is a value too; optuna passes over what is not finite
        return math.log(trial.values[0]) if log and trial.values[0] > 0 else trial.values[0]

    # Six levels of a tree find the same shares as its 64 by default: 0.5 s instead of 16 s for 1000 trials.
    evaluator = importance.FanovaImportanceEvaluator(seed=0, max_depth=6)
    try:
        found = importance.get_param_importances(study, evaluator=evaluator, target=target)
    except RuntimeError:  # "zero total variance": the values are equal, or differ by conditional parameters only
        return None
    shares = {name: share for name, share in reversed(found.items()) if name in names}
    if len(shares) < 2:
        return None
    left_out = ", ".join(name for name in names if name not in shares)
    note = _fold(f"not assessed, absent from some trials: {left_out}", 75) if left_out else ""
    labels = [_fold(name, 30) for name in shares]
    lines = len(shares) * max(1 + label.count("\n") for label in labels) + note.count("\n")
    figure = blank(7, 1.6 + 0.12 * len(shares) + 0.2 * lines, title)
    axes = figure.add_subplot(xlabel=f"share of the variance explained (fANOVA)\n{note}", xmargin=0.12)
    bars = axes.barh(labels, list(shares.values()), color=LINES[0])
    axes.bar_label(bars, [f"{s:.2f}" if s >= 0.01 else "<0.01" for s in shares.values()], padding=3, fontsize=9)
    return pixels(figure)


def value_axis(figure: Figure, axes: Axes, objective: str, log: bool) -> None:
    """Name the axis of an objective's values, and divide it."""
    figure.supylabel(_fold(objective, 40), fontsize=10)
    axes.grid(alpha=0.3)
    if log:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def png(picture: Picture) -> bytes:
    """The picture as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="png")
    return buffer.getvalue()


def blank(width: float, height: float, title: str) -> Figure:
    """An empty figure of so many inches, 100 pixels each."""
    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    figure.suptitle(_fold(title, int(width * 11.5)), fontsize=11)
    return figure


def pixels(figure: Figure) -> Picture:
    """The figure, drawn."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(np.asarray(canvas.buffer_rgba())[..., :3])


def _short(name: str, letters: int) -> str:
    return name if len(name) <= letters else name[: letters - 1] + "…"


def _fold(name: str, letters: int) -> str:
    """``name`` in lines of at most so many letters, broken behind spaces, slashes and underscores if it can be."""
    lines = textwrap.wrap(name.replace("_", "_ ").replace("/", "/ "), letters)
    return "\n".join(line.replace("_ ", "_").replace("/ ", "/") for line in lines)
