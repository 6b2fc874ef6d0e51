"""Pictures are read by people: that they hold what they should, that nothing is cut off, and what is left out."""

import io
import math
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import combinations
from types import SimpleNamespace
from typing import Literal, get_args

import numpy as np
import optuna
import pytest
import torch
from matplotlib.figure import Figure
from optuna.trial import TrialState
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor

from models.events import Curve, Images, Matrix, PictureEvent, Points
from orchestrator.analysis import importance
from orchestrator.figures import canvas, events
from orchestrator.figures import sweep as figures_sweep
from orchestrator.search.trials import from_optuna
from tests.support.paths import ROOT
from tests.support.processes import LIMIT

Direction = Literal["minimize", "maximize"]
NAN = float("nan")
SEARCH = (figures_sweep.history, figures_sweep.slices, figures_sweep.parallel, figures_sweep.importance)
ALL = {"history", "importance", "slices", "parallel"}


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures behind the pictures, in the order in which they are drawn."""
    seen: list[Figure] = []
    pixels = canvas.pixels

    def keep(figure: Figure) -> canvas.Picture:
        seen.append(figure)
        return pixels(figure)

    monkeypatch.setattr(canvas, "pixels", keep)
    monkeypatch.setattr(events, "pixels", keep)
    return seen


def sweep_figures(study: optuna.Study, objective: str) -> dict[str, canvas.Picture]:
    """A sweep's figures, drawn."""
    return {name: canvas.pixels(figure) for name, figure in of_study(study, objective).items()}


def of_study(study: optuna.Study, objective: str) -> dict[str, Figure]:
    """The figures of an Optuna study."""
    trials, sign = [from_optuna(trial) for trial in study.trials], study.directions[0].value
    search = figures_sweep.Search(trials, objective, -1 if sign == 2 else 1, partial(importance.shares, study))
    drawings = {draw.__name__: draw(SimpleNamespace(search=search)) for draw in SEARCH}
    return {name: drawing for name, drawing in drawings.items() if drawing is not None}


def digits(n: int) -> Tensor:
    return torch.tensor(load_digits().images[:n] / 8 - 1, dtype=torch.float32)[:, None]


def sweep(n_trials: int, direction: Direction = "minimize") -> optuna.Study:
    """A study as ours are: log, integer, categorical, conditional and constant parameters; pruned and failed trials."""
    study = optuna.create_study(direction=direction, sampler=optuna.samplers.RandomSampler(seed=0))
    for i in range(n_trials):
        trial = study.ask()
        trial.suggest_float("step_size", 3, 30, log=True)
        trial.suggest_int("n_steps", 20, 60)
        trial.suggest_float("noise_start", 1e-3, 0.1, log=True)
        if trial.suggest_categorical("schedule", ["constant", "geometric", "linear", "cosine"]) != "constant":
            trial.suggest_float("noise_end", 1e-4, 1e-2, log=True)
        trial.suggest_categorical("coupled", [True, False])
        start = trial.suggest_categorical("start", ["noise", "replay"])
        rate = trial.suggest_float("learning_rate", 1e-4, 2e-3, log=True)
        trial.suggest_float("energy_regularisation", 1e-4, 0.1, log=True)
        trial.suggest_categorical("optimiser", ["adam"])
        trial.suggest_float("ema", 0.999, 0.999)
        if i in (3, 8):
            trial.report(5000, step=1)
            study.tell(trial, state=TrialState.PRUNED)
        elif i == 5:
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, 30 * (1 + abs(math.log(rate / 5e-4))) ** 2 * (8 if start == "noise" else 1))
    return study


def sweep_of(values: Sequence[float], direction: Direction = "minimize", **ranges: tuple[float, float]) -> optuna.Study:
    study = optuna.create_study(direction=direction, sampler=optuna.samplers.RandomSampler(seed=0))
    for value in values:
        trial = study.ask()
        for name, (low, high) in ranges.items():
            trial.suggest_float(name, low, high)
        study.tell(trial, value)
    return study


def assert_picture(picture: canvas.Picture) -> None:
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
    assert 100 <= picture.shape[0] <= 2000 and 200 <= picture.shape[1] <= 3000
    assert picture.std() > 1


def test_a_grid_is_the_images_magnified_without_blur() -> None:
    images = digits(10)
    picture = events.grid(Images(0, "samples", images, columns=4))
    assert picture.shape == (3 * 52 + 4, 4 * 52 + 4, 3)  # 8 pixels sixfold, and four of border
    for i, image in enumerate(images):
        y, x = 4 + i // 4 * 52, 4 + i % 4 * 52
        expected = ((image[0] + 1) * 127.5).round().numpy().repeat(6, 0).repeat(6, 1)
        for channel in range(3):
            assert (picture[y : y + 48, x : x + 48, channel] == expected).all()
    assert (picture[:4] == 128).all() and (picture[-52:, -104:] == 128).all()  # the border; the empty places


def test_colours_stay_and_large_images_are_not_magnified() -> None:
    image = torch.tensor([1.0, 0.0, -1.0]).view(1, 3, 1, 1).expand(1, 3, 64, 64)
    picture = events.grid(Images(0, "samples", image))
    assert picture.shape == (72, 72, 3)
    assert picture[4, 4].tolist() == [255, 128, 0]


def test_values_out_of_range_are_clamped_and_nan_stands_out() -> None:
    image = torch.tensor([7.0, -7.0, math.inf, -math.inf, NAN, 0.0]).view(1, 1, 1, 6)
    row = events.grid(Images(0, "samples", image))[4, 4:-4:8].tolist()
    assert row == [[255] * 3, [0] * 3, [255] * 3, [0] * 3, list(events.NAN), [128] * 3]


@pytest.mark.parametrize("shape", [(0, 1, 8, 8), (2, 2, 8, 8), (3, 8, 8)])
def test_what_is_no_batch_of_images_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a grid is drawn from"):
        events.grid(Images(0, "samples", torch.zeros(shape)))


def test_a_curve_has_gaps_and_gives_up_a_logarithm_that_has_nothing_to_show(drawn: list[Figure]) -> None:
    for lines in ({"a": [1.0, NAN, 100.0], "b": [0.0, 2.0, math.inf]}, {"a": [0.0, -1.0, NAN]}):
        assert_picture(events.curve(Curve(1200, "fid", [0, 1, 2], lines, "update", "FID", log_y=True)))
    assert [figure.axes[0].get_yscale() for figure in drawn] == ["log", "linear"]
    assert [bool(figure.legends) for figure in drawn] == [True, False]


@pytest.mark.parametrize(
    "shape, numbers", [((10, 10), 100), ((4, 2), 8), ((2, 20), 40), ((21, 21), 0), ((100, 100), 0)]
)
def test_a_matrix_has_its_numbers_while_they_fit(shape: tuple[int, int], numbers: int, drawn: list[Figure]) -> None:
    rows, columns = ([f"class {i}" for i in range(n)] for n in shape)
    assert_picture(events.matrix(Matrix(0, "confusion", torch.arange(shape[0] * shape[1]).view(shape), rows, columns)))
    texts = [text.get_text() for text in drawn[0].axes[0].texts]
    assert texts == [str(i) for i in range(numbers)]
    assert_nothing_collides(drawn[0])


def test_a_matrix_of_shares_zeros_or_nan() -> None:
    for values in (torch.rand(3, 3), torch.zeros(3, 3), torch.full((3, 3), NAN)):
        picture = events.matrix(Matrix(0, "confusion", values, ["a", "b", "c"], ["a", "b", "c"]))
        assert_picture(picture)


@pytest.mark.parametrize(("bars", "parts"), [(2, 3), (20, 10), (12, 20)])
def test_stacked_bars_reach_the_sum_of_their_parts(bars: int, parts: int, drawn: list[Figure]) -> None:
    shares = torch.rand(bars, parts, generator=torch.Generator().manual_seed(0)).softmax(1)
    rows, columns = [str(i) for i in range(bars)], [f"class {i}" for i in range(parts)]
    assert_picture(events.draw(Matrix(0, "shares", shares, rows, columns, "cluster", "share", stacked=True)))
    tops = {patch.get_y() + patch.get_height() for patch in drawn[0].axes[0].patches[-bars:]}
    assert len(drawn[0].axes[0].patches) == bars * parts and min(tops) == pytest.approx(1) == max(tops)
    assert_nothing_collides(drawn[0])


def test_points_have_a_panel_for_each_grouping_and_a_colour_for_each_group(drawn: list[Figure]) -> None:
    places = torch.rand(120, 2, generator=torch.Generator().manual_seed(0))
    groups = {"class": [str(i % 3) for i in range(120)], "cluster": [str(i % 12) for i in range(120)]}
    assert_picture(events.points(Points(7, "tsne", places, groups)))
    for axes, n in zip(drawn[0].axes, (3, 12), strict=True):
        assert [text.get_text() for text in axes.get_legend().get_texts()] == [str(i) for i in range(n)]
        colours = {tuple(group.get_facecolor()[0]) for group in axes.collections}
        assert len(colours) == n and [len(group.get_offsets()) for group in axes.collections] == [120 // n] * n


def test_draw_knows_every_event_with_a_picture() -> None:
    assert set(events.PICTURES) == set(get_args(PictureEvent))
    images = Images(0, "samples", digits(3))
    curve = Curve(0, "loss", [0, 1], {"train": [1.0, 0.5]}, "update", "loss")
    matrix = Matrix(0, "confusion", torch.eye(2), ["a", "b"], ["a", "b"])
    points = Points(0, "tsne", torch.eye(2), {"class": ["a", "b"]})
    assert (events.draw(points) == events.points(points)).all()
    assert (events.draw(images) == events.grid(images)).all()
    assert (events.draw(curve) == events.curve(curve)).all()
    assert (events.draw(matrix) == events.matrix(matrix)).all()


def test_pictures_of_any_size_stand_whole_beside_each_other() -> None:
    colors = [(250, 20, 20), (20, 250, 20), (20, 20, 250)]
    sizes = [(40, 300), (90, 10), (7, 120)]
    pictures = [np.full((*size, 3), color, np.uint8) for size, color in zip(sizes, colors, strict=True)]
    sheet = canvas.sheet([(f"trial {i}: fid 34.5\nstart=replay", p) for i, p in enumerate(pictures)], columns=2)
    for color, (height, width) in zip(colors, sizes, strict=True):
        y, x = np.nonzero((sheet == color).all(axis=2))
        assert len(y) == height * width == (y.max() - y.min() + 1) * (x.max() - x.min() + 1)
    assert canvas.sheet([("", pictures[0])], columns=4).shape[1] == 300 + 2 * 12
    with pytest.raises(ValueError, match="at least one picture"):
        canvas.sheet([])


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_sweep_has_four_figures_and_nothing_in_them_collides(direction: Direction, drawn: list[Figure]) -> None:
    pictures = sweep_figures(sweep(14, direction), "fid/fresh")
    assert pictures.keys() == ALL
    for picture in pictures.values():
        assert_picture(picture)
    for figure in drawn:
        assert "fid/fresh" in figure.get_suptitle()
        assert_nothing_collides(figure)
        names = [tick.get_text() for axes in figure.axes for tick in (*axes.get_xticklabels(), *axes.get_yticklabels())]
        names += [axes.get_xlabel() for axes in figure.axes]
        assert not {"optimiser", "ema"} & set(names)  # they have one value
    history = drawn[0].axes[0]
    assert history.get_yscale() == "log"
    values = [t.value for t in sweep(14).trials if t.value is not None and t.state == TrialState.COMPLETE]
    assert history.lines[0].get_ydata()[-1] == (min if direction == "minimize" else max)(values)  # type: ignore[index]
    labels = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert labels == ["best so far", "complete", "pruned (2)", "failed (1)"]


def test_a_conditional_parameter_is_absent_where_it_was_not_asked_for(drawn: list[Figure]) -> None:
    sweep_figures(sweep(14), "fid")
    _, slices, parallel, importance = drawn
    (panel,) = (axes for axes in slices.axes if axes.get_xlabel() == "noise_end")
    without = sum("noise_end" not in t.params for t in sweep(14).trials if t.state == TrialState.COMPLETE)
    assert np.isnan(np.ma.filled(panel.collections[0].get_offsets(), NAN)[:, 0]).sum() == without > 0
    assert [text.get_text() for text in parallel.axes[0].texts].count("absent") == 1
    assert "absent from some trials: noise_end" in importance.axes[0].get_xlabel()


def test_long_names_and_many_choices_stay_legible(drawn: list[Figure]) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for i in range(8):
        trial = study.ask()
        trial.suggest_categorical("architecture", ["residual_small", "residual_large", "convolutional", "mlp", "unet"])
        trial.suggest_float("second_stage/learning_rate_of_the_generator_before_the_warm_up", 1e-5, 1e-4, log=True)
        study.tell(trial, 10.0 ** (i - 3))
    assert sweep_figures(study, "fid_of_fresh_chains/judge_features_of_the_real_training_split").keys() == ALL
    for figure in drawn:
        assert_nothing_collides(figure)


def test_importance_finds_what_the_objective_depends_on(drawn: list[Figure]) -> None:
    sweep_figures(sweep(40), "fid")
    names = [label.get_text() for label in drawn[-1].axes[0].get_yticklabels()]
    assert names[-1] == "start"  # it makes a factor of 8


@pytest.mark.parametrize(
    "study, expected",
    [
        (sweep(0), set()),
        (sweep(1), set()),
        (sweep_of([math.inf, 1.0], x=(0, 1)), set()),
        (sweep_of([3.0, 1.0]), {"history"}),
        (sweep_of([3.0, 1.0], constant=(2, 2)), {"history"}),
        (sweep_of([3.0, 1.0], x=(0, 1)), {"history", "slices", "parallel"}),
        (sweep_of([3.0, 1.0], x=(0, 1), y=(-5, 5)), ALL),
        (sweep_of([2.0] * 5, x=(0, 1), y=(-5, 5)), ALL - {"importance"}),
        (sweep_of([-math.inf, 1.0, 100.0, math.inf, 3.0], x=(0, 1), y=(-5, 5)), ALL),
        (sweep(2), ALL),
    ],
)
def test_what_a_study_cannot_bear_is_left_out(study: optuna.Study, expected: set[str]) -> None:
    pictures = sweep_figures(study, "fid")
    assert pictures.keys() == expected
    for picture in pictures.values():
        assert_picture(picture)


def test_trials_that_share_only_conditional_differences_have_no_importance() -> None:
    study = optuna.create_study()
    for i in range(4):
        trial = study.ask({"x": optuna.distributions.FloatDistribution(2, 2)})
        for name in ("p", "q") if i % 2 else ():
            trial.suggest_float(name, 0, 1)
        study.tell(trial, float(i))
    assert sweep_figures(study, "fid").keys() == ALL - {"importance"}


def test_the_first_of_several_objectives_is_drawn() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    for i in range(5):
        trial = study.ask()
        trial.suggest_int("layers", 1, 9), trial.suggest_categorical("width", [None, 16, "16"])
        study.tell(trial, [i / 10, 1.0])
    assert sweep_figures(study, "accuracy").keys() >= {"history", "parallel"}


def test_a_worker_imports_neither_pyplot_nor_optuna_and_settings_stay() -> None:
    code = """
import matplotlib, sys, torch
from types import SimpleNamespace
settings = lambda: {key: matplotlib.rcParams[key] for key in matplotlib.rcParams if key != "backend"}
before = settings()  # to read the backend would choose one, and import pyplot
from models.events import Curve, Matrix
import orchestrator.worker.trial
from orchestrator.figures import events
events.draw(Curve(0, "loss", [0, 1], {"a": [1.0, 2.0], "b": [2.0, 3.0]}, "update", "loss"))
events.draw(Matrix(0, "confusion", torch.eye(2), ["a", "b"], ["a", "b"]))
assert not {"matplotlib.pyplot", "optuna"} & set(sys.modules)
from orchestrator.figures import sweep
from orchestrator.search.trials import Trial
from studies.parts.space import Parameter
space = {name: Parameter("float", 0, 1) for name in "xy"}
trials = [Trial(n, values=(n,), params={"x": n / 4, "y": n / 3}, space=space) for n in range(3)]
search = sweep.Search(trials, "loss", 1, lambda: {"x": 0.7, "y": 0.3})
for draw in (sweep.history, sweep.slices, sweep.parallel, sweep.importance):
    assert draw(SimpleNamespace(search=search)) is not None
assert "matplotlib.pyplot" not in sys.modules and settings() == before
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=LIMIT)


def test_threads_draw_what_one_thread_draws() -> None:
    curves = [Curve(i, "loss", [0, 1], {"a": [1.0, i], "b": [2.0, 3.0]}, "update", "loss") for i in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for picture, event in zip(pool.map(events.draw, curves), curves, strict=True):
            assert (picture == events.draw(event)).all()


def test_a_png_holds_the_picture() -> None:
    picture = events.grid(Images(0, "samples", digits(5)))
    assert (np.asarray(Image.open(io.BytesIO(canvas.png(picture)))) == picture).all()
    with pytest.raises(TypeError):
        canvas.png(np.zeros((2, 2, 7)))  # type: ignore[arg-type]


def test_an_svg_shows_the_figure_and_changes_no_setting() -> None:
    (history,) = of_study(sweep_of([3.0, 1.0]), "fid").values()
    before = history.get_size_inches().tolist()
    drawn = canvas.svg(history).decode()
    assert drawn.startswith("<?xml") and "<svg" in drawn and "<text" not in drawn, "letters are lines"
    assert history.get_size_inches().tolist() == before and canvas.pixels(history).std() > 10


def assert_nothing_collides(figure: Figure) -> None:
    """All text lies within the figure, and no two labels of an axis touch."""
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    width, height = figure.canvas.get_width_height()
    texts = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        texts += axes.texts
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            texts += [axis.label, *ticks]
            slanted = any(text.get_rotation() % 90 for text in ticks)  # then boxes overlap where letters do not
            rows = [
                [t for t in ticks if len(t.get_text()) - len(t.get_text().lstrip("\n")) == i]
                for i in range(0 if slanted else 4)
            ]
            for row in rows:
                boxes = [text.get_window_extent(renderer) for text in row if text.get_visible() and text.get_text()]
                assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    for text in texts:
        if text.get_visible() and text.get_text():
            box = text.get_window_extent(renderer)
            assert -1 <= box.x0 < box.x1 <= width + 1 and -1 <= box.y0 < box.y1 <= height + 1, text.get_text()
