"""Splits never mix and never change; what cannot be used is refused in one sentence with the way out."""

import gzip
import hashlib
import pickle
import random
import shutil
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from models.data import dataset as data
from models.data.dataset import Data, DataError, Split
from models.data.torchvision_fix import mend
from tests.support.paths import REAL_DATA as REAL

MNIST_FILES = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
]


def counted(*splits: Split) -> Counter[bytes]:
    """How often each image comes with each label."""
    return Counter(
        image.tobytes() + bytes([label])
        for split in splits
        for image, label in zip(split.images.numpy(), split.labels.tolist(), strict=True)
    )


def numbered(n: int, first: int = 0, shape: tuple[int, ...] = (4, 4)) -> NDArray[np.uint8]:
    """Images that all differ: the upper left pixels spell out their number."""
    images = np.zeros((n, *shape), np.uint8)
    flat = images.reshape(n, int(np.prod(shape)))
    flat[:, :2] = np.arange(first, first + n, dtype=">u2").view(np.uint8).reshape(n, 2)
    return images


def labelled(n: int, classes: int = 10) -> NDArray[np.int64]:
    return np.arange(n) % classes


def write_npz(path: Path, **changed: Any) -> str:
    arrays: dict[str, Any] = {
        "x_train": numbered(60),
        "y_train": labelled(60, 3),
        "x_test": numbered(30, 60),
        "y_test": labelled(30, 3),
    } | changed
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return f"npz:{path}"


def write_folder(path: Path, counts: dict[str, int], mode: str = "L", size: tuple[int, int] = (6, 5)) -> str:
    shape = size[::-1] if mode == "L" else (*size[::-1], 3)
    first = 0
    for name, n in counts.items():
        (path / name).mkdir(parents=True)
        for index, pixels in enumerate(numbered(n, first, shape)):
            Image.fromarray(pixels).save(path / name / f"{index:03}.png")
        first += n
    return f"folder:{path}"


def write_idx(folder: Path, n_train: int, n_test: int) -> Path:
    """Unpacked files as MNIST's, of numbered images."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix, n, first in (("train", n_train, 0), ("t10k", n_test, n_train)):
        images = numbered(n, first, (28, 28))
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 2051, n, 28, 28) + images.tobytes())
        labels = labelled(n).astype(np.uint8)
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, n) + labels.tobytes())
    return raw


@pytest.fixture
def torchvision_datasets() -> Any:
    mend()
    import torchvision.datasets

    return torchvision.datasets


def test_listing_is_cheap() -> None:
    heavy = ("torch", "torchvision", "torchmetrics", "sklearn", "prdc", "PIL")
    script = (
        f"import sys; from models.data import dataset; dataset.names(); print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
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
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
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
            "no data set 'zebra'; there are: digits, persian, mnist, fashion_mnist, cifar10, folder:PATH, npz:FILE, hoda:FOLDER",
        ),
        ("", "no data set ''; there are: digits"),
        ("npz:", "'npz:' says not where the images are; write npz:FILE"),
    ],
)
def test_unknown_names(spec: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        data.load(spec, tmp_path)
    assert message in str(caught.value)


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
        ({"x_train": numbered(60) / 255}, "x_train is float64 where uint8 .* multiply values in .0, 1. by 255"),
        ({"x_test": numbered(30).astype(np.int32)}, "x_test is int32 where uint8 .*; use astype"),
        ({"x_train": numbered(60, shape=(16,))}, r"x_train has shape \(60, 16\); make it \(n, height, width\)"),
        ({"x_train": numbered(60, shape=(3, 8, 8))}, "8 channels in its last axis; move 1 or 3"),
        ({"x_train": numbered(60, shape=(3, 8))}, "images of 3×8 pixels; scale them to at least 4×4"),
        ({"x_train": numbered(60, shape=(5, 4))}, r"x_train has images \(5, 4\) but x_test \(4, 4\); make them equal"),
        ({"y_train": labelled(60, 3) * 1.0}, "y_train is float64 where integers are wanted"),
        ({"y_train": labelled(60, 3)[:, None]}, r"y_train has shape \(60, 1\) where .*; use y_train.ravel"),
        ({"y_train": labelled(59, 3)}, "x_train has 60 images but y_train has 59 labels"),
        ({"x_test": numbered(0), "y_test": labelled(0)}, "x_test is empty"),
        ({"y_train": np.repeat([0, 1, 5], [29, 29, 2])}, "x_train has 2 images of class 5; add some, at least 3"),
        ({"y_train": labelled(60, 1)}, "x_train has only the class 0; add a second"),
        ({"y_test": labelled(30, 4)}, "class 3 of y_test is not in y_train"),
        ({"x_train": np.array([{}] * 60)}, "cannot be read .*; write plain arrays of numbers"),
    ],
)
def test_npz_that_cannot_be_used(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        data.load(write_npz(tmp_path / "set.npz", **changed), tmp_path)


def _cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _single(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, numbered(60))


def _damage(path: Path) -> None:
    np.savez_compressed(path, x_train=np.random.RandomState(0).randint(0, 256, (60, 8, 8)).astype(np.uint8))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(bytes(content))
    with np.load(path) as file:  # the directory at its end is whole, so that only reading an array can tell
        assert file.files == ["x_train"]


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (Path.unlink, "there is no file .*set.npz; npz:FILE wants one with x_train, y_train, x_test and y_test"),
        (_cut, "is no whole .npz file .*; write it anew"),
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


def test_npz_with_a_damaged_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _damage(tmp_path / "set.npz")
    monkeypatch.setattr("models.data.files.NAMES", ("x_train",))
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
            "b/odd.png is 7×5 L but .*a/000.png is 6×5 L; bring all images to one size",
        ),
        (_one_more("odd.png", mode="RGB"), "b/odd.png is 6×5 RGB but .*a/000.png is 6×5 L"),
        (_one_more("odd.png", mode="RGBA"), "b/odd.png has mode RGBA; convert all images to L"),
        (lambda path: (path / "b" / "odd.jpg").write_bytes(b"no"), "b/odd.jpg cannot be read as an image"),
        (lambda path: _cut(path / "b" / "004.png"), "b/004.png cannot be read as an image"),
        (lambda path: shutil.rmtree(path / "b"), "has only the class a; add a second"),
        (lambda path: (path / "c").mkdir(), "has 0 images of class c; add some, at least 3"),
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


def test_mnist_is_read_where_it_lies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_idx(tmp_path, 6000, 40)
    found = data.load("mnist", tmp_path)
    assert found.sizes == {"train": 1000, "validation": 5000, "test": 40}
    assert found.classes == tuple("0123456789")
    parts = [set(counted(part)) for part in (found.train, found.validation, found.test)]
    assert len(parts[0] | parts[1] | parts[2]) == 6040
    expected = Split(torch.from_numpy(numbered(40, 6000, (1, 28, 28))), torch.from_numpy(labelled(40)))
    assert counted(found.test) == counted(expected)
    assert capsys.readouterr().out == ""


def test_mnist_without_a_network(tmp_path: Path, torchvision_datasets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision_datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])  # where nothing answers
    with pytest.raises(DataError) as caught:
        data.load("mnist", tmp_path)
    raw = tmp_path / "MNIST" / "raw"
    assert str(caught.value).startswith(f"mnist is not in {raw} and could not be fetched and unpacked (")
    assert str(caught.value).endswith(f"; put {', '.join(MNIST_FILES)} into {raw}")
    assert "\n" not in str(caught.value)


def test_only_missing_files_are_asked_for(
    tmp_path: Path, torchvision_datasets: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torchvision_datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])
    raw = write_idx(tmp_path, 20, 20)
    (raw / "t10k-labels-idx1-ubyte").unlink()
    resources = [(name, hashlib.md5(b"").hexdigest()) for name in MNIST_FILES]
    for name in MNIST_FILES[:3]:
        content = gzip.compress((raw / name.removesuffix(".gz")).read_bytes())
        (raw / name).write_bytes(content)
        resources[MNIST_FILES.index(name)] = (name, hashlib.md5(content).hexdigest())
    monkeypatch.setattr(torchvision_datasets.MNIST, "resources", resources)
    with pytest.raises(DataError, match="; put t10k-labels-idx1-ubyte.gz into "):
        data.load("mnist", tmp_path)


def test_mnist_that_was_cut_while_it_was_unpacked(tmp_path: Path) -> None:
    _cut(write_idx(tmp_path, 200, 20) / "train-images-idx3-ubyte")
    with pytest.raises(DataError, match=r"mnist in .*raw cannot be read \(.+\); remove the unpacked files"):
        data.load("mnist", tmp_path)


def test_cifar10_is_read_where_it_lies(
    tmp_path: Path, torchvision_datasets: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()

    def write(name: str, content: object) -> str:
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
        return hashlib.md5((folder / name).read_bytes()).hexdigest()

    def batch(n: int, first: int) -> dict[str, object]:
        return {"data": numbered(n, first, (3, 32, 32)).reshape(n, -1), "labels": labelled(n).tolist()}

    kind, names = torchvision_datasets.CIFAR10, tuple("abcdefghij")
    monkeypatch.setattr(kind, "train_list", [[f"b{i}", write(f"b{i}", batch(1100, 1100 * i))] for i in range(5)])
    monkeypatch.setattr(kind, "test_list", [["t", write("t", batch(50, 5500))]])
    monkeypatch.setattr(kind, "meta", kind.meta | {"md5": write("batches.meta", {"label_names": list(names)})})
    found = data.load("cifar10", tmp_path)
    assert found.sizes == {"train": 500, "validation": 5000, "test": 50}
    assert (found.shape, found.classes) == ((3, 32, 32), names)
    expected = Split(torch.from_numpy(numbered(50, 5500, (3, 32, 32))), torch.from_numpy(labelled(50)))
    assert counted(found.test) == counted(expected)
    assert len(counted(found.train, found.validation, found.test)) == 5550
    assert capsys.readouterr().out == ""


def test_cifar10_without_a_network(tmp_path: Path, torchvision_datasets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision_datasets.CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    with pytest.raises(DataError, match=r"cifar10 is not in .* \(.+\); put cifar-10-python.tar.gz into"):
        data.load("cifar10", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
def test_real_files_as_downloaded_are_unpacked_and_read(
    name: str, kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if not (REAL / kind / "raw").is_dir():
        pytest.skip(f"{kind} is not in {REAL}")
    shutil.copytree(REAL / kind, tmp_path / kind)
    found = data.load(name, tmp_path)
    assert capfd.readouterr().out == ""
    assert found.sizes == {"train": 55_000, "validation": 5_000, "test": 10_000}
    with gzip.open(REAL / kind / "raw" / "t10k-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read()[16:], np.uint8).reshape(-1, 1, 28, 28)
    with gzip.open(REAL / kind / "raw" / "t10k-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read()[8:], np.uint8).astype(np.int64)
    assert counted(found.test) == counted(Split(torch.from_numpy(images.copy()), torch.from_numpy(labels)))
    assert torch.bincount(found.train.labels).sum() == 55_000 and len(found.classes) == 10


@pytest.mark.slow
def test_real_cifar10_as_npz(tmp_path: Path) -> None:
    if not (REAL / "cifar10_20k.npz").is_file():
        pytest.skip(f"cifar10_20k.npz is not in {REAL}")
    found = data.load(f"npz:{REAL / 'cifar10_20k.npz'}", tmp_path)
    assert found.shape == (3, 32, 32)
    assert found.sizes == {"train": 16_667, "validation": 3_333, "test": 10_000}
    mean = found.train.images.float().mean((0, 2, 3)) / 255
    assert torch.allclose(mean, torch.tensor([0.4914, 0.4822, 0.4465]), atol=0.01)  # as published for all 50,000
