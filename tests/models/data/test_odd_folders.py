"""Folders and image files as people have them: of every mode, as they come out of archives, divided in many ways."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models.data.dataset import Data, DataError, load
from tests.models.data.written import write_folder

PIXELS = np.random.RandomState(0).randint(0, 256, (8, 8)).astype(np.uint8)


def bright(data: Data) -> list[str]:
    """Its notes without the word about images that are almost black, as numbered ones are."""
    return [note for note in data.notes if "brightest pixel" not in note]


def saved(path: Path, mode: str) -> np.ndarray[Any, Any]:
    """Images of a mode in two classes; returns what each has to become."""
    ramp = np.tile(np.arange(0, 240, 30, np.uint8), (8, 1))
    image = Image.fromarray(ramp)
    if mode == "1":
        image = image.point(lambda value: 255 * (value > 100)).convert("1")
        ramp = np.where(ramp > 100, 255, 0).astype(np.uint8)
    elif mode == "I;16":
        image = Image.fromarray(ramp.astype(np.uint16) * 257)
    elif mode == "P":
        image = image.convert("P")
    elif mode in ("RGBA", "LA"):
        alpha = Image.fromarray(np.repeat(np.array([0, 255], np.uint8), 32).reshape(8, 8))
        image = Image.merge(mode, [*[image] * (len(mode) - 1), alpha])
        ramp = np.where(np.asarray(alpha) == 0, 255, ramp).astype(np.uint8)
    else:
        image = image.convert(mode)
    for name in "ab":
        (path / name).mkdir(parents=True)
        for number in range(10):
            image.save(path / name / f"{number}.{'tif' if mode == 'CMYK' else 'png'}")
    return ramp


@pytest.mark.parametrize("mode", ["1", "I;16", "P", "LA", "RGBA", "CMYK"])
def test_images_of_every_mode_become_bytes(mode: str, tmp_path: Path) -> None:
    expected = saved(tmp_path / "set", mode)
    data = load(f"folder:{tmp_path / 'set'}", tmp_path)
    assert data.shape == (1, 8, 8)
    assert (data.train.images[:, 0].numpy() == expected).all()
    assert data.notes == (
        f"images were converted to grey: 20 of mode {mode}",
        "all images are the same: see that they are the right ones",
    )


def test_one_image_in_colour_makes_all_images_rgb(tmp_path: Path) -> None:
    spec = write_folder(tmp_path / "set", {"a": 20, "b": 20})
    Image.new("RGB", (6, 5), (200, 10, 10)).save(tmp_path / "set" / "a" / "red.png")
    Image.new("RGBA", (6, 5), (0, 0, 200, 255)).save(tmp_path / "set" / "b" / "blue.png")
    data = load(spec, tmp_path)
    assert data.shape == (3, 5, 6)
    assert data.notes == ("images were converted to colour: 40 of mode L and 1 of mode RGBA",)


def test_what_lies_deeper_and_what_archives_leave_behind(tmp_path: Path) -> None:
    """Images of sub-folders belong to the class; hidden files, __MACOSX, empty folders and links back do not."""
    folder = tmp_path / "set"
    spec = write_folder(folder, {"2": 20, "10": 20, "1": 20})
    write_folder(folder / "2", {"2021": 15, "2022": 15})
    (folder / "__MACOSX" / "2").mkdir(parents=True)
    (folder / "__MACOSX" / "2" / "._000.png").write_bytes(b"resource fork")
    (folder / "2" / "._000.png").write_bytes(b"resource fork")
    (folder / "empty").mkdir()
    (folder / "1" / "back").symlink_to(folder, target_is_directory=True)
    (folder / "1" / "self").symlink_to(folder / "1", target_is_directory=True)
    data = load(spec, tmp_path)
    assert data.classes == ("1", "2", "10")
    assert sum(data.sizes.values()) == 90
    assert bright(data) == ["folders without images are left out: empty"]


@pytest.mark.parametrize(
    ("names", "sizes"),
    [
        (("train", "val", "test"), {"train": 40, "validation": 12, "test": 8}),
        (("Training", "valid", "testing"), {"train": 40, "validation": 12, "test": 8}),
        (("train", "test"), {"train": 34, "validation": 6, "test": 8}),
        (("train", "val"), {"train": 34, "validation": 12, "test": 6}),
    ],
)
def test_folders_of_splits_are_the_split(names: tuple[str, ...], sizes: dict[str, int], tmp_path: Path) -> None:
    counts = {"tr": 20, "va": 6, "te": 4}
    for name in names:
        write_folder(tmp_path / "set" / name, dict.fromkeys("ab", counts[name[:2].lower()]))
    data = load(f"folder:{tmp_path / 'set'}", tmp_path)
    assert data.sizes == sizes and data.classes == ("a", "b")
    assert bright(data) == [f"the images are divided as the folders {', '.join(sorted(names))} say"]
    anew = load(f"folder:{tmp_path / 'set'}:80/10/10", tmp_path)
    assert sum(anew.sizes.values()) == sum(2 * counts[name[:2].lower()] for name in names)


def test_a_class_that_is_only_tested_is_refused(tmp_path: Path) -> None:
    for name in ("train", "test"):
        write_folder(tmp_path / "set" / name, {"a": 20, "b": 20})
    write_folder(tmp_path / "set" / "test", {"c": 5})
    with pytest.raises(DataError, match="class c is not among the training images"):
        load(f"folder:{tmp_path / 'set'}", tmp_path)


def test_a_picture_that_unpacks_to_very_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = write_folder(tmp_path / "set", {"a": 5, "b": 5})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 29)
    with pytest.raises(DataError, match="cannot be read as an image .*30 pixels.* repair or remove it"):
        load(spec, tmp_path)


def nothing(path: Path) -> None:
    """No change."""


def flat_test(path: Path) -> None:
    """Kaggle's: the test images have no classes."""
    shutil.rmtree(path / "test")
    (path / "test").mkdir()
    Image.new("L", (6, 5), 200).save(path / "test" / "1.png")


@pytest.mark.parametrize(
    ("names", "change", "message"),
    [
        (
            ("train", "test", "unlabeled"),
            nothing,
            "looks divided into test, train, but unlabeled is neither; keep train",
        ),
        (("train", "test"), flat_test, "but test has no sub-folders of classes"),
        (("val", "test"), nothing, "but there is no train"),
        (("train", "val", "valid"), nothing, "but two of them are the same part"),
        (("images",), nothing, "holds the folder images alone; if the classes are inside it, say folder:.*/set/images"),
    ],
)
def test_folders_that_look_like_splits_are_no_classes(
    names: tuple[str, ...], change: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    for name in names:
        write_folder(tmp_path / "set" / name, {"a": 20, "b": 20})
    change(tmp_path / "set")
    with pytest.raises(DataError, match=message):
        load(f"folder:{tmp_path / 'set'}", tmp_path)


@pytest.mark.parametrize("names", [("train", "dev", "test"), ("train_set", "test_set"), ("Train ", "eval")])
def test_folders_of_splits_have_many_names(names: tuple[str, ...], tmp_path: Path) -> None:
    for name in names:
        write_folder(tmp_path / "set" / name, {"a": 20, "b": 20})
    assert load(f"folder:{tmp_path / 'set'}", tmp_path).classes == ("a", "b")


def test_nothing_is_left_out_without_a_word(tmp_path: Path) -> None:
    spec = write_folder(tmp_path / "set", {"a": 20, "b": 20})
    (tmp_path / "set" / "a" / "notes.txt").write_text("no image")
    Image.new("L", (6, 5), 200).save(tmp_path / "set" / "loose.png")
    Image.new("L", (6, 5), 200).save(tmp_path / "set" / "b" / "x.jfif", format="JPEG")
    frames = [Image.new("L", (6, 5), value) for value in (200, 100)]
    frames[0].save(tmp_path / "set" / "b" / "y.tif", save_all=True, append_images=frames[1:])
    data = load(spec, tmp_path)
    assert sum(data.sizes.values()) == 42
    assert bright(data) == [
        "2 files are no images by their names, or lie in no class, and are left out: notes.txt, loose.png",
        "1 files hold several pictures each, of which the first is taken",
    ]


def test_a_photograph_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    image = Image.fromarray(PIXELS)
    exif = image.getexif()
    exif[0x0112] = 3  # upside down
    for name in "ab":
        (tmp_path / name).mkdir()
        for number in range(10):
            image.save(tmp_path / name / f"{number}.png", exif=exif)
    assert (load(f"folder:{tmp_path}", tmp_path).train.images[0, 0].numpy() == PIXELS[::-1, ::-1]).all()


def test_dark_images_and_classes_without_training_images(tmp_path: Path) -> None:
    spec = write_folder(tmp_path / "set", {"a": 3, "b": 100})
    dark = write_folder(tmp_path / "dark", {"a": 10, "b": 10})
    assert load(dark, tmp_path).notes == ("the brightest pixel of all images is 19 of 255: see that they are scaled",)
    with pytest.raises(DataError, match="no image of class a is left for training; add some"):
        load(f"{spec}:20/20/60", tmp_path)


@pytest.mark.parametrize(
    "spec", [f"npz:{'x' * 300}", f"folder:{'x' * 300}", "npz:~nobody-at-all/x.npz", "folder:a:size=99999"]
)
def test_paths_that_cannot_be(spec: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        load(spec, tmp_path)
    assert len(str(refused.value)) <= 300


def test_names_of_classes_are_the_same_however_their_letters_are_composed(tmp_path: Path) -> None:
    """A Mac writes é as e and an accent, where Linux keeps them one."""
    for split in ("train", "test"):
        composed = "caf\u00e9" if split == "train" else "cafe\u0301"
        write_folder(tmp_path / "set" / split, {composed: 20, "b": 20})
    assert load(f"folder:{tmp_path / 'set'}", tmp_path).classes == ("b", "caf\u00e9")


def test_an_image_that_a_link_shows_once_more_is_read_once(tmp_path: Path) -> None:
    spec = write_folder(tmp_path / "set", {"a": 20, "b": 20, "b/2021": 5})
    (tmp_path / "set" / "b" / "0 newest").symlink_to(tmp_path / "set" / "b" / "2021")
    (tmp_path / "set" / "0 all").symlink_to(tmp_path / "set" / "a")
    data = load(spec, tmp_path)
    assert sum(data.sizes.values()) == 45 and data.classes == ("a", "b")
    assert "folders without images are left out: 0 all" in data.notes
