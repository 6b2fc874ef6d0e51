"""Data sets of the user's own, as npz files and as folders of images: they are read, or refused in one sentence."""

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from models.data import dataset as data
from models.data.dataset import DataError, Split
from tests.models.data.written import counted, cut, labelled, numbered, write_folder, write_npz


def test_npz_keeps_its_test_split_and_renames_labels(tmp_path: Path) -> None:
    y_train, y_test = np.array([3, 7, 40])[labelled(60, 3)], np.array([3, 7, 40], np.uint8)[labelled(30, 3)]
    found = data.load(write_npz(tmp_path / "set.npz", y_train=y_train, y_test=y_test), tmp_path)
    assert found.classes == ("3", "7", "40")
    assert found.shape == (1, 4, 4)
    assert found.sizes == {"train": 50, "validation": 10, "test": 30}
    assert counted(found.test) == counted(
        Split(torch.from_numpy(numbered(30, 60)[:, None]), torch.from_numpy(labelled(30, 3)))
    )


def test_npz_with_colour_has_its_channels_moved_first(tmp_path: Path) -> None:
    pixels = np.random.RandomState(0).randint(0, 256, (60, 5, 6, 3)).astype(np.uint8)
    found = data.load(write_npz(tmp_path / "set.npz", x_train=pixels, x_test=pixels, y_test=labelled(60, 3)), tmp_path)
    assert found.shape == (3, 5, 6)
    expected = Split(torch.from_numpy(pixels).permute(0, 3, 1, 2), torch.from_numpy(labelled(60, 3)))
    assert counted(found.test) == counted(found.train, found.validation) == counted(expected)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x_test": None, "y_test": None}, "has no x_test, y_test but holds x_train, y_train; rename or add"),
        (
            {"x_train": numbered(60) / 255},
            "x_train is float64 where uint8 .* multiply by 255",
        ),
        (
            {"x_test": numbered(30).astype(np.int32)},
            "x_test is int32 where uint8 .* for values from 0 to 29, use",
        ),
        ({"x_train": numbered(60, shape=(16,))}, r"x_train has shape \(60, 16\); make it \(n, height, width\)"),
        ({"x_train": numbered(60, shape=(3, 8, 8))}, "8 channels in its last axis; move 1 or 3"),
        (
            {"x_train": numbered(60, shape=(8, 8, 4))},
            r"4 channels in its last axis; leave the fourth out: x_train\[\.\.\., :3",
        ),
        ({"x_train": numbered(60, shape=(3, 8))}, "images of 3×8 pixels; scale them to at least 4×4"),
        ({"x_train": numbered(60, shape=(5, 4))}, r"x_train has images \(5, 4\) but x_test \(4, 4\); make them equal"),
        ({"y_train": labelled(60, 3) + 0.5}, "y_train holds 0.5, which is no class"),
        (
            {"y_train": labelled(60, 3)[:, None] + [0, 1]},
            r"y_train has shape \(60, 2\) where .*; give each image one class",
        ),
        ({"y_train": labelled(59, 3)}, "x_train has 60 images but y_train has 59 labels"),
        ({"x_test": numbered(0), "y_test": labelled(0)}, "x_test is empty"),
        ({"y_train": np.repeat([0, 1, 5], [29, 29, 2])}, "x_train has 2 images of class 5; add some, at least 3"),
        ({"y_train": None}, "has no y_train but holds x_train, x_test, y_test"),
        (
            {"y_train": None, "y_test": None, "x_test": None},
            "has no x_test but holds x_train; rename or add arrays; labels, y_train and y_test, may",
        ),
        ({"y_test": labelled(30, 4)}, "class 3 of y_test is not in y_train"),
        ({"x_train": np.array([{}] * 60)}, "cannot be read .*; write plain arrays of numbers"),
    ],
)
def test_npz_that_cannot_be_used(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        data.load(write_npz(tmp_path / "set.npz", **changed), tmp_path)


@pytest.mark.parametrize("y", [None, labelled(60, 1), labelled(60, 1)[:, None]])
def test_npz_of_one_class_or_without_labels(y: np.ndarray[Any, Any] | None, tmp_path: Path) -> None:
    y_test = None if y is None else y[:30]
    read = data.load(write_npz(tmp_path / "set.npz", y_train=y, y_test=y_test, extra=np.arange(3)), tmp_path)
    assert read.sizes == {"train": 50, "validation": 10, "test": 30}
    assert not read.has_classes
    assert read.notes[0] == "arrays of the file that are left out: extra"
    assert "a judge that learned which way up an image is" in read.notes[-1]


def test_npz_without_labels_may_have_validation_images(tmp_path: Path) -> None:
    without = {"y_train": None, "y_test": None, "x_val": numbered(9, 100)}
    assert data.load(write_npz(tmp_path / "set.npz", **without), tmp_path).sizes["validation"] == 9


def _single(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, numbered(60))


def _damage(path: Path) -> None:
    noise = np.random.RandomState(0).randint(0, 256, (60, 8, 8)).astype(np.uint8)
    np.savez_compressed(path, x_train=noise, y_train=labelled(60, 3), x_test=noise, y_test=labelled(60, 3))
    with zipfile.ZipFile(path) as file:
        place = file.getinfo("x_train.npy").header_offset + file.getinfo("x_train.npy").compress_size // 2
    content = bytearray(path.read_bytes())
    content[place] ^= 255
    path.write_bytes(bytes(content))
    with np.load(path) as arrays:  # the directory at its end is whole, so that only reading an array can tell
        assert len(arrays.files) == 4


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (Path.unlink, "there is no file .*set.npz; npz:FILE wants one with x_train, y_train, x_test and y_test"),
        (cut, "is no whole .npz file .*; write it anew"),
        (lambda path: path.write_bytes(b""), "is no whole .npz file"),
        (lambda path: path.write_text("x,y\n1,2\n"), "cannot be read"),
        (_single, "holds a single array; write x_train, "),
    ],
)
def test_npz_that_is_none(break_it: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    spec = write_npz(tmp_path / "set.npz")
    break_it(tmp_path / "set.npz")
    with pytest.raises(DataError, match=message):
        data.load(spec, tmp_path)


def test_npz_with_a_damaged_array(tmp_path: Path) -> None:
    _damage(tmp_path / "set.npz")
    with pytest.raises(DataError, match="is no whole .npz file"):
        data.load(f"npz:{tmp_path / 'set.npz'}", tmp_path)


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3)])
def test_folder_has_a_class_for_each_sub_folder(mode: str, channels: int, tmp_path: Path) -> None:
    spec = write_folder(tmp_path / "set", {"cats": 40, "ants": 60, "bees": 3}, mode)
    (tmp_path / "set" / "ants" / "notes.txt").write_text("not an image")
    (tmp_path / "set" / ".hidden").mkdir()
    found = data.load(spec, tmp_path)
    assert found.classes == ("ants", "bees", "cats")
    assert found.shape == (channels, 5, 6)
    assert found.sizes == {"train": 71, "validation": 16, "test": 16}  # 15 % each, and then one bee each
    for split in (found.train, found.validation, found.test):
        assert set(split.labels.tolist()) == {0, 1, 2}
    images = np.concatenate([numbered(n, first, (5, 6)) for first, n in ((40, 60), (100, 3), (0, 40))])
    if channels == 1:
        labels = torch.tensor([0] * 60 + [1] * 3 + [2] * 40)
        expected = counted(Split(torch.from_numpy(images[:, None]), labels))
        assert counted(found.train, found.validation, found.test) == expected


def _empty(path: Path) -> None:
    for file in path.rglob("*.png"):
        file.unlink()


def _flatten(path: Path) -> None:
    for name in "ab":
        shutil.rmtree(path / name)


def _one_more(name: str, mode: str = "L", size: tuple[int, int] = (6, 5)) -> Callable[[Path], object]:
    return lambda path: Image.new(mode, size).save(path / "b" / name)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (
            _one_more("odd.png", size=(7, 5)),
            "b/odd.png is 7×5 but .*a/000.png is 6×5; bring all images to one size",
        ),
        (lambda path: os.mkfifo(path / "b" / "pipe.png"), "b/pipe.png is no regular file"),
        (lambda path: (path / "b" / "gone.png").symlink_to("nowhere"), "b/gone.png is no regular file"),
        (lambda path: (path / "b" / "odd.jpg").write_bytes(b"no"), "b/odd.jpg cannot be read as an image"),
        (lambda path: cut(path / "b" / "004.png"), "b/004.png cannot be read as an image"),
        (shutil.rmtree, "there is no folder .*set; folder:PATH wants one with a sub-folder"),
        (_flatten, "has no sub-folders; put the images of each class"),
        (_empty, "the sub-folders of .* hold no images"),
    ],
)
def test_folder_that_cannot_be_used(break_it: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    spec = write_folder(tmp_path / "set", {"a": 5, "b": 5})
    break_it(tmp_path / "set")
    with pytest.raises(DataError, match=message):
        data.load(spec, tmp_path)
