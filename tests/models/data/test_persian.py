"""Persian digits, rendered and handwritten: all classes, legible, varied, the same for everyone; and shares of any set."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.data import dataset as data
from models.data import hoda as _hoda
from models.data import persian as _persian
from models.data.arrays import Arrays
from models.data.dataset import Data, DataError
from models.data.known import KNOWN, KnownSet
from tests.support.paths import REAL_DATA

REAL = REAL_DATA / "hoda"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def persian(folder: Path) -> Data:
    return data.load("persian", folder)


def test_persian_digits_are_binary_and_divided_as_asked(persian: Data) -> None:
    assert persian.shape == (1, 28, 28) and persian.classes == tuple("0123456789")
    assert persian.sizes == {"train": 8500, "validation": 1000, "test": 500}
    for split in (persian.train, persian.validation, persian.test):
        assert set(split.images.unique().tolist()) == {0, 255}
        assert len(set(torch.bincount(split.labels).tolist())) == 1
    assert "DejaVu Sans Bold" in persian.source and "LastResort" not in persian.source


def test_persian_digits_are_kept_and_come_back_as_they_were(persian: Data, folder: Path, tmp_path: Path) -> None:
    (kept,) = (folder / "persian").glob("*.npz")
    before = kept.stat().st_mtime_ns
    assert data.load("persian", folder).digest == persian.digest and kept.stat().st_mtime_ns == before
    kept.write_bytes(kept.read_bytes()[:1000])
    assert data.load("persian", folder).digest == persian.digest, "a damaged file is drawn anew"
    blocked = tmp_path / "no folder"
    blocked.write_text("")
    assert data.load("persian", blocked).digest == persian.digest, "where nothing can be kept it is drawn each time"


def test_a_class_is_legible_and_no_two_images_are_the_same(persian: Data) -> None:
    """The nearest training image has the same label; a zero is a dot, of more than a few pixels, inside the picture."""
    from sklearn.neighbors import KNeighborsClassifier

    flat = {name: getattr(persian, name).images.flatten(1).numpy() > 0 for name in ("train", "validation")}
    knn = KNeighborsClassifier(1).fit(flat["train"], persian.train.labels)
    assert knn.score(flat["validation"], persian.validation.labels) > 0.97
    others = persian.train.labels.numpy() != 0
    assert len(np.unique(flat["train"][others], axis=0)) > 0.999 * others.sum()
    zeros = persian.train.images[persian.train.labels == 0, 0] > 0
    assert len(zeros.flatten(1).unique(dim=0)) > 0.9 * len(zeros)
    assert zeros.flatten(1).sum(1).min() >= 9
    edge = persian.train.images[:, 0].float()
    assert edge[:, [0, -1]].mean() < 0.5 and edge[:, :, [0, -1]].mean() < 0.5, "hardly anything is cut off"


def test_a_font_without_the_digits_is_not_taken(tmp_path: Path) -> None:
    by_name = {file.name: file for file in _persian.font_files()}
    found = _persian.glyphs(by_name["DejaVuSans.ttf"])
    assert found is not None and found[0] == "DejaVu Sans Book" and len(found[1]) == 10
    assert found[1][1].max() == pytest.approx(1.1, abs=0.5), "half the width of a stroke, in pixels"
    assert _persian.glyphs(by_name["DejaVuSansMono-Oblique.ttf"]) is None
    assert _persian.glyphs(by_name["LastResortHE-Regular.ttf"]) is None, "a box for every character"
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    assert _persian.glyphs(tmp_path / "broken.ttf") is None


def test_without_a_font_there_are_no_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_persian, "font_files", lambda: iter(()))
    with pytest.raises(DataError, match="no font here holds the Persian digits .*; install"):
        data.load("persian", tmp_path)


def cdb(digits: list[tuple[int, NDArray[np.int64]]], size: tuple[int, int] | None = None, kind: int = 0) -> bytes:
    """A file of digits, each (height, width) of 0 and 1; ``size`` is said once in the header, or else with each."""
    header = bytearray(1024)
    struct.pack_into("<BBI", header, 4, *(size or (0, 0)), len(digits))
    header[522] = kind
    out = bytes(header)
    for label, picture in digits:
        runs = []
        for row in picture:
            colour, n = 0, 0
            for pixel in [*row, None]:
                if pixel != colour:
                    runs.append(n)
                    colour, n = 1 - colour, 0
                n += 1
        out += bytes([0xFF, label]) + (b"" if size else bytes([picture.shape[1], picture.shape[0]]))
        out += struct.pack("<H", len(runs)) + bytes(runs)
    return out


def test_records_of_hoda_are_read_run_by_run() -> None:
    chance = np.random.RandomState(0)
    sizes = [(1, 1), (7, 3), (30, 12), (5, 40)]
    digits = [(i, chance.randint(0, 2, size)) for i, size in enumerate(sizes)]
    digits += [(8, np.ones((4, 4), np.int64)), (9, np.zeros((4, 4), np.int64))]
    for (label, picture), (found_label, found) in zip(digits, _hoda.records(cdb(digits)), strict=True):
        assert label == found_label and (picture == found).all()
    same = [(3, chance.randint(0, 2, (6, 5))) for _ in range(3)]
    assert all((a[1] == b[1]).all() for a, b in zip(same, _hoda.records(cdb(same, (6, 5))), strict=True))


def test_hoda_is_fitted_into_the_picture_with_its_proportions(tmp_path: Path) -> None:
    tall, small = np.zeros((60, 40), np.int64), np.zeros((9, 9), np.int64)
    tall[6:54, 10:22], small[2:6, 3:5] = 1, 1
    digits = [(label, tall if label else small) for label in range(10) for _ in range(20)]
    (tmp_path / "a.cdb").write_bytes(cdb(digits[:100]))
    (tmp_path / "B.CDB").write_bytes(cdb(digits[100:]))
    found = data.load(f"hoda:{tmp_path}", tmp_path)
    assert found.sizes == {"train": 170, "validation": 20, "test": 10}
    zero, one = (found.train.images[found.train.labels == label][0, 0] > 0 for label in (0, 1))
    assert zero[12:16, 13:15].all() and zero.sum() == 8, "what is small stays small, in the middle"
    assert one[2:26, 11:17].all() and one.sum() == 24 * 6


def test_hoda_that_cannot_be_used(tmp_path: Path) -> None:
    def refused(message: str) -> None:
        with pytest.raises(DataError, match=message):
            data.load(f"hoda:{tmp_path}", tmp_path)

    refused("there are no .cdb files in .*; hoda:FOLDER wants the folder where Hoda's are")
    whole = cdb([(label, np.eye(8, dtype=np.int64)) for label in range(10) for _ in range(20)])
    for damaged in (
        whole[:-1],
        whole[:500],
        b"",
        whole[:1024] + b"\x00" + whole[1025:],
        whole[:522] + b"\x01" + whole[523:],
    ):
        (tmp_path / "a.cdb").write_bytes(damaged)
        refused("a.cdb is no whole .cdb file of binary digits")
    (tmp_path / "a.cdb").write_bytes(cdb([(0, np.eye(8, dtype=np.int64))] * 30))
    refused("has 0 images of 1; at least 20 of each digit are needed")


@pytest.mark.slow
def test_real_hoda() -> None:
    if not REAL.is_dir():
        pytest.skip(f"Hoda is not in {REAL}")
    labels = [label for label, _ in _hoda.records((REAL / "Test 20000.cdb").read_bytes())]
    assert np.bincount(labels).tolist() == [2000] * 10


def test_shares_divide_a_known_set_anew(tmp_path: Path) -> None:
    whole, divided = data.load("digits", tmp_path), data.load("digits:80/20", tmp_path)
    assert divided.sizes == {"train": 1294, "validation": 144, "test": 359}
    assert data.load("digits:85/10/5", tmp_path).sizes == {"train": 1527, "validation": 180, "test": 90}
    assert (divided.name, divided.classes) == ("digits:80/20", whole.classes) and divided.digest != whole.digest
    for wrong in ("digits:", "digits:80", "digits:80/30", "digits:90/10/0", "digits:a/b", "digits:40/30/20/10"):
        with pytest.raises(DataError, match=f"'{wrong}' says not how to divide the images; write digits, digits:80/20"):
            data.load(wrong, tmp_path)


def test_shares_of_a_set_with_a_test_split_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.arange(100, dtype=np.uint8).repeat(16).reshape(100, 1, 4, 4)
    labels = np.arange(100) % 2
    official = Arrays("", images[:60], labels[:60], ("a", "b"), 10, (images[60:], labels[60:]))
    monkeypatch.setitem(KNOWN, "mnist", KnownSet((1, 4, 4), lambda folder: official))
    found = data.load("mnist:80/20", tmp_path)
    assert found.sizes == {"train": 72, "validation": 8, "test": 20}
    parts = [part.images[:, 0, 0, 0] for part in (found.train, found.validation, found.test)]
    assert sorted(torch.cat(parts).tolist()) == list(range(100))
