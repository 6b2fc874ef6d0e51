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
