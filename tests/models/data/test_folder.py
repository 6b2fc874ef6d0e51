"""Options of a folder of images: shares, size, dark figures on paper, black and white; and the picture of what was read."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.data import __main__ as preview
from models.data.dataset import DataError, load
from models.data.folder import Options, parsed
from tests.models.data.written import write_folder


@pytest.mark.parametrize(
    ("text", "path", "options"),
    [
        ("my/digits", "my/digits", Options()),
        ("a:b/digits", "a:b/digits", Options()),
        ("my/digits:85/10/5", "my/digits", Options((85, 10, 5))),
        ("my/digits:80/20", "my/digits", Options((72, 8, 20))),
        ("d:85/10/5:size=28:invert:binary", "d", Options((85, 10, 5), 28, True, True)),
        ("C:/d:binary:size=32", "C:/d", Options(size=32, binary=True)),
    ],
)
def test_options_stand_behind_the_path(text: str, path: str, options: Options) -> None:
    assert parsed(text) == (Path(path), options)


@pytest.mark.parametrize("option", ["85/10/10", "0/50/50", "size=2", "size=", "width=28"])
def test_what_is_no_option_is_refused(option: str) -> None:
    with pytest.raises(DataError, match=re.escape(f"'{option}' is no option of folder:d; there are 85/10/5, size=28")):
        parsed(f"d:{option}")


def test_images_of_any_size_and_kind_become_binary_figures_on_black(tmp_path: Path) -> None:
    """A dark stroke on light paper, photographed in different sizes, in colour and with a transparent ground."""
    for label in ("one", "two"):
        (tmp_path / label).mkdir()
        for number in range(20):
            side = 40 + 4 * number
            paper = np.full((side, side, 3), 200, np.uint8)
            paper[:, side // 4 : side // 2] = 60
            Image.fromarray(paper).save(tmp_path / label / f"{number}.png")
        clear = Image.new("RGBA", (56, 56), (0, 0, 0, 0))
        clear.paste((0, 0, 0, 255), (14, 0, 28, 56))
        clear.save(tmp_path / label / "clear.png")
    data = load(f"folder:{tmp_path}:85/10/5:size=28:invert:binary", tmp_path)
    assert data.shape == (1, 28, 28)
    assert data.sizes == {"train": 36, "validation": 4, "test": 2}
    expected = np.zeros((28, 28), np.uint8)
    expected[:, 7:14] = 255
    assert all((image[0].numpy() == expected).all() for image in data.train.images)
    said = preview.main(f"folder:{tmp_path}:size=28:invert:binary", str(tmp_path / "preview.png"))
    assert said.endswith("one, two, a row each; 28×28 pixels; 30 train, 6 validation, 6 test images")
    with Image.open(tmp_path / "preview.png") as picture:
        assert picture.size == (16 * 30, 2 * 30)
        assert (np.asarray(picture)[:28, :28] == expected).all()


def test_a_folder_without_options_is_read_as_before(tmp_path: Path) -> None:
    spec = write_folder(tmp_path / "set", {"a": 30, "b": 30})
    assert (
        load(spec, tmp_path).digest
        == load(f"{spec}:70/15/15", tmp_path).digest
        != load(f"{spec}:85/10/5", tmp_path).digest
    )


def test_images_without_folders_of_classes_are_read_as_unlabelled(tmp_path: Path) -> None:
    write_folder(tmp_path, {"set": 40})
    (tmp_path / "set" / "notes.txt").write_text("not an image")
    read = load(f"folder:{tmp_path / 'set'}", tmp_path)
    assert (sum(read.sizes.values()), read.classes) == (40, ("unlabelled",))
    assert read.notes[0].startswith("1 files are no images by their names")


def test_one_folder_of_images_is_one_class(tmp_path: Path) -> None:
    read = load(write_folder(tmp_path / "set", {"cats": 40}), tmp_path)
    assert (read.classes, read.has_classes) == (("cats",), False)


def test_a_preview_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, file = write_folder(tmp_path / "set", {"a": 20, "b": 20}), tmp_path / "preview.png"
    preview.main(spec, str(file))
    before = file.read_bytes()

    def full(image: Image.Image, path: Path, format: str) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="No space"):
        preview.main(spec, str(file))
    assert file.read_bytes() == before
