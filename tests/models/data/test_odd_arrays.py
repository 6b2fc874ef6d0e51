"""Arrays as people have them: of every type and order, with labels of every kind, in files that lie."""

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.data.dataset import DataError, load
from tests.models.data.written import labelled, numbered, write_npz

PIXELS = np.random.RandomState(0).randint(0, 256, (60, 8, 8)).astype(np.uint8)
CLASSES = labelled(60, 3)


def both(x: Any, y: Any = CLASSES) -> dict[str, Any]:
    return {"x_train": x, "y_train": y, "x_test": x, "y_test": y}


@pytest.mark.parametrize(
    "same",
    [
        both(np.asfortranarray(PIXELS)),
        both(np.repeat(PIXELS, 2, 2)[:, :, ::2]),
        both(PIXELS[:, ::-1][:, ::-1]),
        both(PIXELS, CLASSES.astype(">i4")),
        both(PIXELS, CLASSES.astype(np.uint8)[:, None]),
    ],
    ids=["fortran", "strided", "reversed", "big-endian", "column"],
)
def test_the_order_in_memory_changes_nothing(same: dict[str, Any], tmp_path: Path) -> None:
    plain = load(write_npz(tmp_path / "plain.npz", **both(PIXELS)), tmp_path)
    other = load(write_npz(tmp_path / "other.npz", **same), tmp_path)
    assert other.digest == plain.digest
    assert (other.train.images == plain.train.images).all()


ADVICE = [
    (PIXELS.astype("u2") * 257, "(x_train // 257).astype('uint8')"),
    (PIXELS > 128, "x_train.astype('uint8') * 255, which times 255"),
    ((PIXELS > 128).astype(np.int64), "multiply by 255: (x_train * 255.0).round().astype('uint8')"),
    (PIXELS / 255, "multiply by 255: (x_train * 255.0).round().astype('uint8')"),
    (PIXELS / 127.5 - 1, "((x_train + 1) * 127.5).round().astype('uint8')"),
    (PIXELS.astype(np.int32), "x_train.astype('uint8')"),
    (PIXELS.astype(">f4"), "x_train.round().astype('uint8')"),
    (PIXELS * 4.0 - 20, "((x_train + 20.0) * (255 / 1020.0)).round().astype('uint8')"),
]


@pytest.mark.parametrize(("x", "code"), ADVICE, ids=[f"{x.dtype} up to {x.max():g}" for x, _ in ADVICE])
def test_the_advice_for_pixels_of_another_type_works(x: Any, code: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        load(write_npz(tmp_path / "set.npz", **both(x)), tmp_path)
    assert code in str(refused.value)
    expression = code.removeprefix("multiply by 255: ").removesuffix(", which times 255")
    followed = eval(expression, {"x_train": x})  # as a reader would
    data = load(write_npz(tmp_path / "set.npz", **both(followed)), tmp_path)
    expected = np.where(PIXELS > 128, 255, 0) if x.max() == 1 and x.dtype.kind in "bi" else PIXELS
    assert sorted(data.test.images.numpy().ravel()) == sorted(expected.ravel())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (both((PIXELS > 128).astype(np.uint8)), "holds only 0 and 1, which are both black; multiply it by 255"),
        (both(np.where(PIXELS < 9, np.nan, PIXELS / 255)), "values are not finite .* replace them; .* multiply by 255"),
        (both(PIXELS.astype("U3")), "is <U3 where uint8 .* images are arrays of numbers"),
        (both(PIXELS, np.eye(3, dtype=int)[CLASSES]), r"a column for each class, \(60, 3\); use y_train.argmax\(1\)"),
        (both(PIXELS, np.eye(3)[CLASSES]), r"use y_train.argmax\(1\)"),
        (both(PIXELS, np.array(list("abc"))[CLASSES]), r"np.unique\(y_train, return_inverse=True\)"),
        (both(PIXELS, CLASSES + 0.5), "holds 0.5, which is no class"),
        (both(PIXELS, np.where(CLASSES, np.nan, 0)), "y_train has values that are not finite"),
        (both(PIXELS, CLASSES > 0), r"y_train is bool .* use y_train.astype\('int64'\)"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_values(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        load(write_npz(tmp_path / "set.npz", **changed), tmp_path)


def test_the_names_of_medmnist_are_known(tmp_path: Path) -> None:
    """Its labels are a column, and it has images for validation."""
    parts = {"train": 60, "val": 30, "test": 12}
    arrays = {f"{part}_images": numbered(n, 100 * n) for part, n in parts.items()}
    arrays |= {f"{part}_labels": labelled(n, 3)[:, None].astype(np.uint8) for part, n in parts.items()}
    np.savez(tmp_path / "med.npz", **arrays)
    data = load(f"npz:{tmp_path / 'med.npz'}", tmp_path)
    assert data.sizes == {"train": 60, "validation": 30, "test": 12}
    assert {image.numpy().tobytes() for image in data.validation.images} == {
        image.tobytes() for image in arrays["val_images"]
    }


def promise(path: Path, shape: tuple[int, ...], size: int) -> None:
    """A file whose header says more than follows, or that unpacks to very much."""
    np.savez(path, **both(PIXELS))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array_header_1_0(
                    file, {"shape": shape, "fortran_order": False, "descr": "|u1" if name[0] == "x" else "<i8"}
                )
                file.write(bytes(size))


@pytest.mark.parametrize(
    ("shape", "size", "message"),
    [
        ((10**12, 8, 8), 64, "x_train promises 64,000,000,000,000 bytes and has 64"),
        ((2**62, 2**62, 8), 64, "x_train promises"),
    ],
)
def test_a_header_that_promises_too_much(shape: tuple[int, ...], size: int, message: str, tmp_path: Path) -> None:
    promise(tmp_path / "set.npz", shape, size)
    with pytest.raises(DataError, match=message):
        load(f"npz:{tmp_path / 'set.npz'}", tmp_path)


def test_what_would_fill_the_memory_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.data import arrays

    promise(tmp_path / "bomb.npz", (50_000_000,), 50_000_000)
    assert (tmp_path / "bomb.npz").stat().st_size < 1_000_000
    free = type("Memory", (), {"available": 2e8})()
    monkeypatch.setattr(arrays.psutil, "virtual_memory", lambda: free)
    with pytest.raises(DataError, match="would take 0.2 GB, and 0.2 GB of memory are free"):
        load(f"npz:{tmp_path / 'bomb.npz'}", tmp_path)


def test_messages_about_the_users_own_names_are_short(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", **{f"array_{number}" + "x" * 100: np.zeros(1) for number in range(500)})
    with pytest.raises(DataError) as refused:
        load(f"npz:{tmp_path / 'set.npz'}", tmp_path)
    assert len(str(refused.value)) <= 300
    assert str(refused.value).endswith("rename or add arrays; labels, y_train and y_test, may be left out")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to(path)], ids=["fifo", "dir", "loop"])
def test_a_file_of_arrays_that_is_no_file(make: Callable[[Path], object], tmp_path: Path) -> None:
    make(tmp_path / "set.npz")
    with pytest.raises(DataError, match="set.npz"):
        load(f"npz:{tmp_path / 'set.npz'}", tmp_path)


def test_no_array_is_left_out_without_a_word(tmp_path: Path) -> None:
    plain = write_npz(tmp_path / "set.npz", **both(PIXELS), x_other=PIXELS)
    assert load(plain, tmp_path).notes == ("arrays of the file that are left out: x_other",)
    with pytest.raises(DataError, match="has x_val without y_val; add it, or leave both out"):
        load(write_npz(tmp_path / "set.npz", **both(PIXELS), x_val=PIXELS), tmp_path)


@pytest.mark.parametrize(("changed", "said"), [(0, True), (1, False)])
def test_images_that_are_all_the_same_are_a_word_in_the_plan(changed: int, said: bool, tmp_path: Path) -> None:
    x = np.full((60, 8, 8), 90, np.uint8)
    x[7] += changed
    data = load(write_npz(tmp_path / "same.npz", x_train=x, x_test=x[:30]), tmp_path)
    assert any(note.startswith("all images are the same") for note in data.notes) is said
