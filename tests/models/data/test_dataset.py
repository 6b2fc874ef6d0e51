"""Splits never mix and never change, whatever the source of the data."""

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.data import dataset as data
from models.data.dataset import Data, DataError
from tests.models.data.written import counted, labelled, numbered, write_npz
from tests.support.processes import LIMIT


def test_listing_is_cheap() -> None:
    heavy = ("torch", "torchvision", "torchmetrics", "sklearn", "prdc", "PIL")
    script = (
        f"import sys; from models.data import dataset; dataset.names(); print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=LIMIT)
    assert done.stdout.strip() == "[]"
    assert data.names() == ("digits", "persian", "mnist", "fashion_mnist", "cifar10")


def test_images_are_read_without_torch(tmp_path: Path) -> None:
    """A data set is named and read before a sweep starts, and what it holds is checked: only a trainer needs tensors."""
    own = write_npz(tmp_path / "own.npz")
    script = f"""
import sys
from pathlib import Path
from models.data import dataset
for name in ("digits", {own!r}):
    loaded = dataset.load(name, Path({str(tmp_path)!r}))
    print(loaded.shape, len(loaded.train), "torch" in sys.modules)
loaded.train.images
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=LIMIT)
    assert done.stdout.splitlines() == ["(1, 8, 8) 1079 False", "(1, 4, 4) 50 False", "True"]


@pytest.mark.parametrize("name", ["digits", "persian"])
def test_the_shape_of_a_known_set_is_that_of_its_images(tmp_path: Path, name: str) -> None:
    reader = data.Reader(name, tmp_path)
    assert reader.shape == reader.load().shape


def test_digits_are_scikit_learns(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    digits = data.load("digits", tmp_path)
    assert digits.shape == (1, 8, 8)
    assert digits.classes == tuple("0123456789")
    assert digits.sizes == {"train": 1079, "validation": 359, "test": 359}
    assert digits.train.images.dtype == torch.uint8 and digits.train.labels.dtype == torch.int64
    found = load_digits()
    levels = [round(level * 255 / 16) for level in range(17)]
    expected = Counter(
        bytes(levels[int(level)] for level in image.flat) + bytes([label])
        for image, label in zip(found.images, found.target, strict=True)
    )
    assert counted(digits.train, digits.validation, digits.test) == expected  # all are there, and none is there twice


def test_splits_and_digest_are_the_same_for_ever(tmp_path: Path) -> None:
    """Caches and published scores hang on this digest: change it only with a reason worth losing them for."""
    assert data.load("digits", tmp_path).digest.startswith("e20185ed284e9646")


def test_loading_neither_sees_nor_changes_global_randomness(tmp_path: Path) -> None:
    def state() -> tuple[bytes, object, object]:
        return torch.get_rng_state().numpy().tobytes(), repr(np.random.get_state()), random.getstate()

    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    before = state()
    first = data.load("digits", tmp_path)
    assert state() == before
    torch.manual_seed(2), np.random.seed(2), random.seed(2)
    second = data.load("digits", tmp_path)
    assert first.digest == second.digest
    assert torch.equal(first.validation.images, second.validation.images)


def test_floats_span_minus_one_to_one(tmp_path: Path) -> None:
    digits = data.load("digits", tmp_path)
    images = digits.train.floats()
    assert images.dtype == torch.float32
    assert (float(images.min()), float(images.max())) == (-1.0, 1.0)
    some = torch.tensor([5, 3])
    assert torch.equal(digits.train.floats(some), images[some])
    assert torch.equal(((images + 1) * 127.5).round().to(torch.uint8), digits.train.images)


def held_out(n: int, path: Path) -> Data:
    """Numbered images of which a sixth becomes the validation split; the tenth class is a quarter as common."""
    labels = labelled(n)
    labels[(labels == 9) & (np.arange(n) % 40 != 9)] = 0
    spec = write_npz(path, x_train=numbered(n), y_train=labels, x_test=numbered(90, n), y_test=labelled(90))
    return data.load(spec, path.parent)


def test_splits_are_disjoint_stratified_and_complete(tmp_path: Path) -> None:
    found = held_out(6000, tmp_path / "set.npz")
    parts = [set(counted(part)) for part in (found.train, found.validation, found.test)]
    assert [len(part) for part in parts] == [5000, 1000, 90]
    assert len(parts[0] | parts[1] | parts[2]) == 6090
    whole = torch.bincount(torch.cat([found.train.labels, found.validation.labels]))
    assert whole.tolist() == [1050, *[600] * 8, 150]
    validation = torch.bincount(found.validation.labels)
    assert (validation - whole / 6).abs().max() < 1


def test_the_beginning_of_each_split_is_a_fair_sample(tmp_path: Path) -> None:
    found = held_out(6000, tmp_path / "set.npz")
    for split, n in ((found.train, 200), (found.validation, 200), (found.test, 30)):
        expected = torch.bincount(split.labels, minlength=10) * (n / len(split))
        seen = torch.bincount(split.labels[:n], minlength=10)
        chi_square = ((seen - expected).square() / expected).nan_to_num(0).sum()
        assert chi_square < 27.9  # exceeded once in a thousand fair samples


def test_the_digest_sees_a_pixel_a_label_and_the_split(tmp_path: Path) -> None:
    def digest(name: str, **changed: Any) -> str:
        return data.load(write_npz(tmp_path / name, **changed), tmp_path).digest

    pixel, label = numbered(60), labelled(60, 3)
    pixel[17, 3, 3], label[17] = 9, (label[17] + 1) % 3
    digests = [
        digest("a.npz"),
        digest("b.npz", x_train=pixel),
        digest("c.npz", y_train=label),
        digest("d.npz", x_train=numbered(59), y_train=labelled(59, 3), x_test=numbered(31, 59), y_test=labelled(31, 3)),
    ]
    assert len(set(digests)) == 4
    assert digest("again.npz") == digests[0]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("digit", "no data set 'digit'; did you mean digits? there are: digits, persian, mnist, "),
        ("fashion-mnist", "did you mean fashion_mnist?"),
        ("folders:cats", "did you mean folder:PATH?"),
        ("npz", "did you mean npz:FILE?"),
        (
            "zebra",
            "no data set 'zebra'; there are: digits, persian, mnist, fashion_mnist, cifar10, folder:PATH, npz:FILE, hoda:FOLDER, "
            "halved:NAME",
        ),
        ("", "no data set ''; there are: digits"),
        ("halved:zebra", "no data set 'zebra'; there are: digits"),
        ("halved", "did you mean halved:NAME?"),
        ("halved:halved:digits", "would halve images of 4×4 pixels; take a data set of an even height and width"),
        ("npz:", "'npz:' says not where the images are; write npz:FILE"),
    ],
)
def test_unknown_names(spec: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        data.load(spec, tmp_path)
    assert message in str(caught.value)


def test_a_halved_set_is_the_mean_of_two_by_two_pixels_in_the_same_splits(tmp_path: Path) -> None:
    whole, half = data.load("digits", tmp_path), data.load("halved:digits", tmp_path)
    assert data.Reader("halved:digits", tmp_path).shape == half.shape == (1, 4, 4)
    for name in ("train", "validation", "test"):
        full, small = getattr(whole, name), getattr(half, name)
        assert (full.labels == small.labels).all()
        mean = full.images.double().unflatten(3, (4, 2)).unflatten(2, (4, 2)).mean((3, 5))
        assert (small.images.double() - mean).abs().max() <= 0.5
    assert half.digest != whole.digest and half.name == "halved:digits"
