"""New images by finished trials: the trial that is asked for, reproducibly, and refusals that say what there is."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from models.data import dataset as datasets
from orchestrator.cli import main as cli
from orchestrator.errors import UserError
from orchestrator.layout import WEIGHTS
from orchestrator.search import sampling
from orchestrator.search.book import Book
from tests.support.bench import Bench
from tests.support.paths import QUADRATIC


@pytest.fixture
def finished(bench: Bench) -> Book:
    """Two trials, the better one last; then one that diverged."""
    book = bench.book(trials=3, set=["mode=left"])
    for x in (0.9, 0.3, -0.5):
        book.enqueue({"x": x})
    bench.drive(book)
    return book


def test_the_images_are_the_trials_and_follow_the_seed(finished: Book) -> None:
    best, again, other = (sampling.draw(finished, None, 5, seed, "cpu") for seed in (0, 0, 1))
    assert best.trial.number == 1 and best.images.images.shape == (5, 1, 8, 8)
    assert best.images.images.mean() == pytest.approx(0.35, abs=0.02), "x and half of the noise"
    assert torch.equal(best.images.images, again.images.images)
    assert not torch.equal(best.images.images, other.images.images)
    assert sampling.draw(finished, 0, 5, 0, "cpu").images.images.mean() == pytest.approx(0.95, abs=0.02)


def test_a_setting_that_is_held_outside_of_its_range_is_the_trials(bench: Bench) -> None:
    """It is no parameter of the trial, whose weights fit no other."""
    book = bench.book(trials=1, set=["x=7", "mode=left"])
    bench.drive(book)
    assert book.config(book.best()[0]).x == 7
    assert sampling.draw(book, None, 5, 0, "cpu").images.images.mean() == 1, "7, cut to the range of pixels"


def test_the_command_writes_one_grid(finished: Book, folder: Path) -> None:
    done = CliRunner().invoke(cli.main, ["sample", "toy", "0", "--n", "9", "-o", "grid.png"], catch_exceptions=False)
    assert done.exit_code == 0 and "9 images by trial 0 of toy: grid.png" in done.output
    with Image.open("grid.png") as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (2 * 52 + 4, 8 * 52 + 4, 3), "nine images of 48 pixels in rows of eight"
    assert 230 < pixels[10, 10, 0] <= 255 and (pixels[60, 200] == 128).all()
    assert CliRunner().invoke(cli.main, ["sample", "toy"]).exit_code == 0 and Path("toy-1-samples.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["2"], "trial 2 of 'toy' is not completed; these are: 0, 1"),
        (["77"], "trial 77 of 'toy' is not completed; these are: 0, 1"),
        (["-o", "grid.gif"], "grid.gif: what is written is a .png file; name it so"),
        (["-o", "no/grid.png"], "there is no folder"),
        (["--device", "cuda:9"], "no such device here"),
        (["--traverse"], "have no code to traverse; leave out --traverse"),
        (["--steps", "9"], "--steps: the study"),
        (["--class", "7"], "draws without it; leave it out"),
        (["--fuse", "1,2"], "edits no images; leave out --fuse"),
        (["--transfer", "1,2"], "edits no images; leave out --transfer"),
        (["--fuse", "1,2", "--n", "9"], "--fuse and --transfer edit real images, each alone; leave out the other"),
        (["--fuse", "1,2", "--transfer", "1,2"], "--fuse and --transfer edit real images, each alone"),
        (["--traverse", "--n", "9"], "--traverse shows every dimension of the code; leave out --n, --steps"),
    ],
)
def test_what_cannot_be_drawn_is_refused(finished: Book, arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(cli.main, ["sample", "toy", *arguments])
    assert done.exit_code == 2 and words in done.output
    assert not list(Path().glob("*.png"))


def test_a_traversal_is_of_the_trial_and_follows_the_seed(folder: Path) -> None:
    moved = "    sample=draw,\n    traverse=lambda config, env, weights: draw(config, env, weights, 27),\n"
    Path("moved.py").write_text(Path(QUADRATIC).read_text().replace("    sample=draw,\n", moved))
    run = ["run", "moved.py", "--trials", "1", "--workers", "0", "--name", "toy"]
    assert CliRunner().invoke(cli.main, run, catch_exceptions=False).exit_code == 0
    done = CliRunner().invoke(cli.main, ["sample", "toy", "--traverse"], catch_exceptions=False)
    assert done.exit_code == 0 and "traversal of the code by trial 0 of toy: toy-0-traversal.png" in done.output
    other = CliRunner().invoke(cli.main, ["sample", "toy", "--traverse", "--seed", "1", "-o", "other.png"])
    assert other.exit_code == 0 and Path("other.png").read_bytes() != Path("toy-0-traversal.png").read_bytes()


@pytest.fixture
def editing(folder: Path) -> None:
    """A sweep whose images say which classes were asked for."""
    edit = (
        "    sample=draw,\n    edit=lambda config, env, weights, way, a, b: "
        "Images(0, way, torch.full((2, 1, 8, 8), (a - b) / 20)),\n"
    )
    Path("edited.py").write_text(Path(QUADRATIC).read_text().replace("    sample=draw,\n", edit))
    run = ["run", "edited.py", "--trials", "1", "--workers", "0", "--name", "toy"]
    assert CliRunner().invoke(cli.main, run, catch_exceptions=False).exit_code == 0


@pytest.mark.parametrize("way", ["fuse", "transfer"])
def test_an_edit_is_of_the_two_classes(editing: None, way: str) -> None:
    done = CliRunner().invoke(cli.main, ["sample", "toy", f"--{way}", "9,2"], catch_exceptions=False)
    assert done.exit_code == 0 and f"2 edited images by trial 0 of toy: toy-0-{way}.png" in done.output
    with Image.open(f"toy-0-{way}.png") as picture:
        assert abs(int(np.asarray(picture)[10, 10, 0]) - 127.5 * 1.35) < 2


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ("9", "--fuse 9: two different classes are needed, such as --fuse 0,9"),
        ("3, 3", "--fuse 3, 3: two different classes are needed"),
        ("9,2,1", "two different classes are needed"),
        ("9,ten", "--fuse 9,ten: no class 'ten'; there are: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        ("10,1", "no class '10'"),
    ],
)
def test_classes_that_are_not_there_are_refused(editing: None, classes: str, words: str) -> None:
    done = CliRunner().invoke(cli.main, ["sample", "toy", "--fuse", classes])
    assert done.exit_code == 2 and words in done.output and not list(Path().glob("toy-*.png"))


def test_images_of_one_class_cannot_be_fused(bench: Bench, finished: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "_study", lambda book: replace(book.study, edit=lambda *_: None))
    monkeypatch.setattr(datasets, "load", lambda *_: SimpleNamespace(classes=("cat",)))
    with pytest.raises(UserError, match="--fuse needs two classes, and the data have one, cat; leave out --fuse"):
        sampling.edit(finished, None, "fuse", "0,1", 0, "cpu")


def test_weights_that_are_gone_and_studies_that_do_not_generate(bench: Bench, finished: Book) -> None:
    (Path(finished.spec.folder) / "trial-1" / WEIGHTS).unlink()
    with pytest.raises(UserError, match="the weights of trial 1 are not in .* any more; choose another trial"):
        sampling.draw(finished, None, 5, 0, "cpu")
    Path("mute.py").write_text(Path(QUADRATIC).read_text().replace("    sample=draw,\n", ""))
    done = CliRunner().invoke(cli.main, ["run", "mute.py", "--trials", "1", "--workers", "0", "--name", "mute"])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(cli.main, ["sample", "mute"])
    assert done.exit_code == 2 and "the study mute.py says of no trial how it makes images" in done.output
