"""What scores need of a data set is asked before anything starts."""

from pathlib import Path

import pytest
import torch

from models.data.dataset import DataError, load
from models.dvae.config import Config
from models.dvae.generation import edits
from models.dvae.networks import Autoencoder
from models.events import Images
from models.parts.evaluation import needs
from tests.models.data.written import write_folder


def test_too_few_validation_images_are_refused_with_the_number_that_is_enough(tmp_path: Path) -> None:
    few = load(write_folder(tmp_path / "few", {"a": 20, "b": 20}), tmp_path)
    with pytest.raises(DataError, match="has 6 validation images among its 40, and scores need 7; .* there are 44"):
        needs.refuse(few, None)
    needs.refuse(load(write_folder(tmp_path / "enough", {"a": 22, "b": 22}), tmp_path), None)


def test_pairs_of_codes_are_as_many_as_there_are_images() -> None:
    network = Autoencoder(Config(width=8, codebook_size=8), (1, 8, 8))
    tokens = torch.arange(7 * 16).view(7, 4, 4) % 8
    (event,) = edits(network, tokens, 1)
    assert isinstance(event, Images) and len(event.images) == 3 * 8


def test_labels_of_one_class_are_refused_with_a_way_out_that_works(tmp_path: Path) -> None:
    """Of flow and diffusion, whose `classes` are at least two."""
    one = load(write_folder(tmp_path / "one", {"a": 80}), tmp_path)
    with pytest.raises(DataError, match="has no classes that could be told; use --set labels=False"):
        needs.refuse_other_classes(one, 10)
    two = load(write_folder(tmp_path / "two", {"a": 40, "b": 40}), tmp_path)
    with pytest.raises(DataError, match="classes=10 and .* has 2; use --set classes=2"):
        needs.refuse_other_classes(two, 10)
    needs.refuse_other_classes(two, 2)
