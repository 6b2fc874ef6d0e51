"""The nearest image is the nearest, however the search is cut into chunks."""

import pytest
import torch

from models.data.dataset import floats
from models.parts.evaluation import neighbours
from models.parts.evaluation.neighbours import nearest


@pytest.mark.parametrize("chunk", [1, 7 * 48, 2**24])
def test_it_is_what_brute_force_finds(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "CHUNK", chunk)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(5, 3, 4, 4, generator=generator)
    among = torch.randn(40, 3, 4, 4, generator=generator)
    index, distance = nearest(images, among)
    for i, image in enumerate(images):
        distances = [float((image - other).double().square().sum().sqrt()) for other in among]
        assert index[i] == min(range(40), key=distances.__getitem__)
        assert distance[i] == pytest.approx(min(distances), rel=1e-6)


def test_a_copy_is_at_distance_zero_and_the_first_of_equals_is_taken() -> None:
    among = torch.rand(9, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 1000  # large: cancellation would show
    among[7] = among[2]
    index, distance = nearest(among[[7, 5]], among)
    assert index.tolist() == [2, 5]
    assert distance.tolist() == [0.0, 0.0]


def test_bytes_are_scaled_like_the_images_of_a_split() -> None:
    generator = torch.Generator().manual_seed(0)
    among = torch.randint(256, (30, 1, 6, 5), generator=generator, dtype=torch.uint8)
    images = torch.rand(4, 1, 6, 5, generator=generator) * 2 - 1
    for found, expected in zip(nearest(images, among), nearest(images, floats(among)), strict=True):
        assert torch.equal(found, expected)


def test_nothing_to_look_among_is_refused() -> None:
    with pytest.raises(ValueError, match="pass at least one"):
        nearest(torch.zeros(2, 1, 8, 8), torch.zeros(0, 1, 8, 8))
