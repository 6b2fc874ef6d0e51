"""Edits in the noise of a flow whose noise is the image itself, where every edit has a closed form; and of real ones."""

from dataclasses import replace

import pytest
import torch

import studies
from models.data import dataset as datasets
from models.data.dataset import Data, Split
from models.env import Env
from models.events import Curve
from models.flow import networks
from models.flow.config import Config
from models.flow.edited import brightness, edits, fused_pairs, width
from models.flow.edits import AMOUNTS, ROWS, STOPS, Editor, edit, fused, lerp, slerp
from models.flow.networks import Flow
from models.parts.evaluation.judge import obtain
from models.parts.training.cache import at_once

SMALL = Config.model_validate(dict(studies.load("flow").smallest))


@pytest.fixture
def digits(env: Env) -> Data:
    return datasets.load("digits", env.data_folder)


@pytest.fixture
def editor(env: Env, digits: Data) -> Editor:
    """By a flow whose couplings are at their beginning: noise is a rotation of the pixels."""
    flow = Flow(SMALL.model_copy(update={"mixing": "reverse", "normalise": "none", "levels": 256}), digits.shape)
    return Editor(flow, digits, env)


def test_images_come_back_from_their_noise(editor: Editor, digits: Data) -> None:
    images = digits.validation.floats()[:20]
    back = editor.images(editor.noise(images))
    assert float((back - images).abs().max()) < 2 / 255 + 1e-5, "a rounding to the next level, at most"


def test_all_of_a_linear_direction_makes_means_of_one_class_those_of_the_other(editor: Editor) -> None:
    images = editor.of_class(3, 1_000, trained=True)
    moved = editor.images(editor.noise(images) + editor.towards(3, 8))
    target = editor.of_class(8, 1_000, trained=True).mean(0)
    free = (images.mean(0).abs() < 0.8) & (target.abs() < 0.8)  # else pixels are cut to black and white
    assert float((moved.mean(0) - target)[free].abs().max()) < 0.3 < float((images.mean(0) - target)[free].abs().max())


def test_amounts_are_columns_and_an_amount_of_nothing_changes_nothing(editor: Editor, digits: Data) -> None:
    images = digits.validation.floats()[:3]
    noise = editor.noise(images)
    moved = editor.moved(noise, editor.towards(1, 0), (0.0, 1.0)).view(3, 2, *digits.shape)
    assert torch.equal(moved[:, 0], editor.images(noise)) and not torch.equal(moved[:, 1], moved[:, 0])


def test_images_with_most_of_an_attribute_are_where_its_direction_leads(editor: Editor, digits: Data) -> None:
    trained = digits.train.floats(torch.arange(500))
    direction = editor.along(brightness(trained))
    images = digits.validation.floats()[:50]
    brighter = editor.images(editor.noise(images) + direction)
    assert float((brightness(brighter) - brightness(images)).mean()) > 0.1


def test_attributes_are_computed_from_pixels() -> None:
    images = torch.full((2, 1, 3, 5), -1.0)
    images[0, :, :, 2] = 1.0
    images[1, :, :, ::4] = 1.0
    assert brightness(images).tolist() == pytest.approx([-0.6, -0.2])
    assert width(images).tolist() == pytest.approx([0, 0.5], abs=1e-3)


def test_half_of_orthogonal_noise_is_short_by_a_line_and_not_by_a_circle() -> None:
    a, b = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    assert lerp(a, b, 0.5).norm().item() == pytest.approx(2**0.5)
    assert slerp(a, b, 0.5).norm().item() == pytest.approx(2.0)
    for path in (lerp, slerp):
        torch.testing.assert_close(path(a, b, 0.0), a)
        torch.testing.assert_close(path(a, b, 1.0), b)
    torch.testing.assert_close(slerp(a, a, 0.3), a, msg="no angle between them")


def test_a_fusion_begins_with_one_image_and_ends_with_the_other(editor: Editor) -> None:
    first, second = editor.of_class(0, 4), editor.of_class(1, 4)
    for images in fused(editor, first, second).values():
        assert len(images) == STOPS
        assert float((images[0] - first).abs().max()) < 0.01 and float((images[-1] - second).abs().max()) < 0.01


def test_images_are_fused_with_images_of_the_other_class_of_their_pair(digits: Data, env: Env) -> None:
    flow = Flow(SMALL.model_copy(update={"levels": 256}), digits.shape)
    labels = digits.validation.labels
    few = [int(torch.nonzero(labels == label)[0]) for label in (1, 2)]  # classes with a single image
    kept = torch.tensor([index for index, label in enumerate(labels.tolist()) if label not in (1, 2) or index in few])
    split = Split(digits.validation.images[kept], labels[kept])
    editor = Editor(flow, replace(digits, validation=split), env)
    first, second = fused_pairs(editor, [(0, 1), (2, 3), (4, 5)], 20)
    assert len(first) == len(second) == 1 + 1 + 20
    for row, (source, target) in enumerate([(0, 1), (2, 3), *[(4, 5)] * 20]):
        for images, label in ((first, source), (second, target)):
            assert any(torch.equal(images[row], image) for image in editor.of_class(label, 20)), f"row {row}"


def test_classes_without_validation_images_are_in_no_pair(editor: Editor, digits: Data, env: Env) -> None:
    """As where the user's own validation split has one class."""
    split = digits.validation
    kept = torch.nonzero((split.labels == 2) | (split.labels == 3) | (split.labels == 4)).flatten()
    data = replace(digits, validation=Split(split.images[kept], split.labels[kept]))
    judge = at_once(obtain(digits, env.cache_folder, "cpu"))
    curves = [event for event in edits(editor.flow, judge, data, env, 0) if isinstance(event, Curve)]
    assert {*curves[0].lines} == {"2 → 3"}
    kept = torch.nonzero(split.labels == 4).flatten()
    data = replace(digits, validation=Split(split.images[kept], split.labels[kept]))
    assert not any(isinstance(event, Curve) for event in edits(editor.flow, judge, data, env, 0))


@pytest.mark.parametrize(("way", "columns", "rows"), [("fuse", STOPS, 3 * ROWS), ("transfer", len(AMOUNTS), ROWS)])
@pytest.mark.parametrize("labels", [False, True])
def test_the_seed_chooses_the_images_of_an_edit(env: Env, way: str, columns: int, rows: int, labels: bool) -> None:
    settings = SMALL.model_copy(update={"labels": labels})
    weights = networks.network(settings, (1, 8, 8)).state_dict()
    first, again, other = (edit(settings, replace(env, seed=seed), weights, way, 4, 9) for seed in (0, 0, 1))
    assert first.columns == columns and first.images.shape == (columns * rows, 1, 8, 8)
    assert torch.equal(first.images, again.images) and not torch.equal(first.images, other.images)
    assert bool((first.images.abs() <= 1).all())
