"""Files that settings name are the same ones wherever a sweep goes on."""

from pathlib import Path

import pytest

from models.gan.config import Config as Gan
from models.jem.config import Config as Jem


def test_a_file_is_named_from_the_folder_where_it_was_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    gan, jem = Gan(inception_weights="mine.pth"), Jem(classifier="mine.safetensors")
    assert gan.inception_weights == str(tmp_path / "mine.pth")
    monkeypatch.chdir("/")
    assert Jem.model_validate(jem.model_dump()).classifier == str(tmp_path / "mine.safetensors")
    assert Gan.model_validate(Gan().model_dump()).inception_weights is None
