"""MNIST and CIFAR-10: read where they lie, downloaded where files are missing, refused in one sentence without a network."""

import gzip
import hashlib
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.data import dataset as data
from models.data.dataset import DataError, Split
from models.data.torchvision_fix import declare_missing_operators
from tests.models.data.written import counted, cut, labelled, numbered, write_idx
from tests.support.paths import REAL_DATA as REAL

MNIST_FILES = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
]


@pytest.fixture
def torchvision_datasets() -> Any:
    declare_missing_operators()
    import torchvision.datasets

    return torchvision.datasets


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
        data.load("mnist", tmp_path / "new" / "data")
    raw = tmp_path / "new" / "data" / "MNIST" / "raw"
    assert str(caught.value).startswith(f"mnist is not in {raw} and could not be fetched and unpacked (")
    assert str(caught.value).endswith(f"; put {', '.join(MNIST_FILES)} into {raw}")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir()), "a refused command leaves nothing"


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
    cut(write_idx(tmp_path, 200, 20) / "train-images-idx3-ubyte")
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
        data.load("cifar10", tmp_path / "data")
    assert not list(tmp_path.iterdir())


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
