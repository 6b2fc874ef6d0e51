"""Where images have no classes, the judge learns which way up they are, and what it scores is still in the right order."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.data import dataset as data
from models.data.dataset import Data, DataError, Split
from models.events import Matrix
from models.parts.evaluation import judge, metrics, needs, orientation
from models.parts.evaluation.quality import Quality
from models.parts.training import cache


@pytest.fixture(scope="module")
def unlabelled() -> Data:
    """Digits whose labels nobody knows."""
    digits = data.load("digits", Path())

    def without(split: Split) -> Split:
        return Split(split.images, torch.zeros_like(split.labels))

    parts = {name: without(getattr(digits, name)) for name in ("train", "validation", "test")}
    return replace(digits, classes=("unlabelled",), digest="unlabelled digits", **parts)


@pytest.mark.parametrize(("size", "names"), [((4, 4), orientation.SQUARE), ((3, 5), orientation.OBLONG)])
def test_four_orientations_keep_the_shape_and_are_not_the_same(size: tuple[int, int], names: tuple[str, ...]) -> None:
    image = torch.arange(2 * size[0] * size[1]).view(1, 2, *size)
    images = orientation.turned(image.repeat(4, 1, 1, 1), torch.arange(4))
    assert orientation.orientations((2, *size)) == names
    assert torch.equal(images[:1], image)
    assert torch.equal(images[names.index("turned by 180°")], image[0].flip(1, 2))
    assert len({tuple(one.flatten().tolist()) for one in images}) == 4


def test_a_judge_without_classes_puts_images_in_the_right_order(
    unlabelled: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "TRAINING", {1: (200, 64)})  # a quarter of its usual updates
    orientation_judge = cache.at_once(judge.obtain(unlabelled, tmp_path, "cpu"))
    assert not orientation_judge.knows_classes
    assert orientation_judge.accuracy > 0.7  # of four orientations; 0.25 is chance
    assert orientation_judge.confusion(unlabelled).sum(1).tolist() == [len(unlabelled.validation)] * 4
    reference, real = orientation_judge.features(unlabelled.validation.floats()), unlabelled.train.floats()[:300]

    def fid(images: Tensor) -> float:
        return metrics.fid(reference, orientation_judge.features(images))

    noise = torch.rand(real.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    blurred = F.avg_pool2d(F.pad(real, (1, 1, 1, 1), mode="replicate"), 3, 1)
    order = [fid(real), fid(0.9 * real + 0.1 * noise), fid(0.6 * real + 0.4 * noise), fid(noise)]
    assert order == sorted(order)
    assert fid(real) < fid(blurred) < fid(noise)
    assert cache.at_once(judge.obtain(unlabelled, tmp_path, "cpu")).digest == orientation_judge.digest


def test_what_has_no_classes_is_said_and_not_scored(
    unlabelled: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "TRAINING", {1: (5, 16)})
    assert any("orientation" in str(event) for event in judge.obtain(unlabelled, tmp_path, "cpu"))
    orientation_judge = cache.at_once(judge.obtain(unlabelled, tmp_path, "cpu"))
    quality = Quality.against_validation(orientation_judge, unlabelled, 50)
    keys = quality.of_new_images("fresh", unlabelled.train.floats()[:50]).keys()
    assert keys == {f"{name}/fresh" for name in ("fid", "kid", "precision", "recall", "density", "coverage")}
    said = list(quality.introduce(unlabelled, torch.nn.Linear(2, 2)))
    assert any(isinstance(event, Matrix) and event.rows == orientation.SQUARE for event in said)


def test_studies_of_labels_refuse_images_without_classes(unlabelled: Data) -> None:
    with pytest.raises(DataError, match="has one class, and this study needs two; .* such as ebm, gan, vae or diff"):
        needs.refuse_unlabelled(unlabelled)
