"""Energies with labels: a chain keeps its label, energies hear it, and what is reported stands beside its anchors."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

import studies
from models.data import dataset as datasets
from models.ebm import training
from models.ebm.conditional import networks
from models.ebm.conditional import training as conditional_training
from models.ebm.conditional.config import Config
from models.ebm.conditional.evaluation import _fid_by_class as by_class
from models.ebm.conditional.evaluation import conditional_energy
from models.ebm.conditional.losses import wrong_label_loss
from models.ebm.variant import Variant
from models.env import Env
from models.events import Curve, Event, Images, Matrix, Scalars
from models.parts.evaluation.classes import of_slots
from models.parts.evaluation.quality import Quality
from tests.support.playing import exported, finished

SMALL = {"blocks": 1, "width": 4, "n_steps": 10, "evaluation_samples": 40, "evaluations": 2, "buffer_size": 100}
WAYS = ["modulation", "channels", "head"]


def config(**changes: Any) -> Config:
    return Config.model_validate(SMALL | {"network_evaluations": 12 * 20} | changes)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("shape", "blocks"), [((1, 8, 8), 1), ((1, 28, 28), 5), ((3, 32, 32), 9)])
def test_energies_of_all_labels_are_those_of_each(way: str, shape: tuple[int, int, int], blocks: int) -> None:
    net = networks.network(config(label=way, blocks=blocks, classes=4), shape)
    x = torch.rand(3, *shape)
    each = torch.stack([net(x, torch.full((3,), label)) for label in range(4)], 1)
    assert each.shape == (3, 4)
    torch.testing.assert_close(net(x), each)


@pytest.mark.parametrize("way", WAYS)
def test_an_exported_network_takes_any_number_of_images(way: str) -> None:
    net = networks.network(config(label=way), (1, 8, 8))
    x = torch.rand(5, 1, 8, 8)
    torch.testing.assert_close(exported(net)(x), net(x))


@pytest.mark.parametrize("way", WAYS)
def test_a_label_can_be_learned_in_every_way(way: str, env: Env) -> None:
    """Trained as a classifier for a few steps, the energies tell two kinds of images apart by their labels."""
    torch.manual_seed(0)
    net = networks.network(config(label=way, classes=2), (1, 8, 8))
    labels = torch.arange(64) % 2
    x = 0.3 * torch.randn(64, 1, 8, 8)
    x[labels == 1, :, :, :4] += 1
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(100):
        loss = nn.functional.cross_entropy(-net(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (net(x).argmin(1) == labels).float().mean() > 0.9


class Wells(nn.Module):
    """E(x, y) = Σ (x − c_y)² / 2: a chain ends at the centre of its label."""

    def __init__(self) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.linspace(-0.9, 0.9, 10))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return (x - self.centres[labels].view(-1, 1, 1, 1)).square().flatten(1).sum(1) / 2


@pytest.mark.parametrize("way", WAYS)
def test_the_loss_of_wrong_labels_sums_over_all_of_them(way: str) -> None:
    net = networks.network(config(classes=3, label=way), (1, 8, 8))
    x, labels = torch.rand(5, 1, 8, 8), torch.tensor([0, 1, 2, 0, 1])
    right = net(x, labels)
    ratios = [(right - net(x, (labels + shift) % 3)).exp() for shift in (1, 2)]
    torch.testing.assert_close(wrong_label_loss(net, x, labels), (1 + ratios[0] + ratios[1]).log().mean())


def test_wrong_labels_make_the_energy_read_labels(env: Env) -> None:
    """A few updates with and without them, else alike: more real digits have their least energy at their label."""
    data = datasets.load("digits", env.data_folder)
    images, labels = data.validation.floats(), data.validation.labels
    accuracies = []
    for weight in (0.0, 0.3):
        quick = {"width": 8, "learning_rate": 1e-2, "parameter_grad_clip": 1.0, "ema_decay": 0.9, "evaluations": 1}
        settings = config(wrong_label_weight=weight, **quick)
        settings = settings.model_copy(update={"network_evaluations": int(100 * settings.update_cost)})
        assert settings.updates == 100 and settings.update_cost == 12 + (weight > 0)
        net = finished(conditional_training.train(settings, env)).network
        accuracies.append((net(images).argmin(1) == labels).float().mean().item())
    assert accuracies[1] > accuracies[0] + 0.2


def test_wrong_labels_cost_one_evaluation_more_or_one_for_each_label() -> None:
    costs = [config(wrong_label_weight=1, label=way, classes=7).update_cost for way in ("head", "channels")]
    assert costs == [12 + 1, 12 + 7]


def test_replicas_of_a_chain_have_its_label() -> None:
    x = torch.linspace(-0.9, 0.9, 10).repeat_interleave(3).view(-1, 1, 1, 1)
    energies = conditional_energy(Wells(), torch.arange(10))(x)
    assert energies.shape == (30,) and energies.abs().max() < 1e-12


def nothing(*args: Any) -> Iterator[Event]:
    yield from ()


def test_a_slot_of_the_replay_buffer_belongs_to_one_label_for_ever(env: Env) -> None:
    """On wells that never move each slot ends at the centre of its own label: were labels mixed up, it would be between."""
    variant = Variant(lambda config, data: Wells(), conditional_energy, lambda *_: 0.0, nothing, nothing)
    still = config(step_size=0.5, grad_clip=None, learning_rate=1e-12, fresh_share=0.0, network_evaluations=12 * 15)
    result = finished(training.train(still, env, None, variant))
    labels = of_slots(still.buffer_size, result.data, "cpu")
    centres = torch.linspace(-0.9, 0.9, 10)[labels].view(-1, 1, 1, 1)
    visited = (result.images - centres).abs().flatten(1).amax(1) < 0.1
    assert visited.float().mean() > 0.95  # 15 updates of 64 of 100 slots leave a slot untouched once in 10⁶
    counts = torch.bincount(labels, minlength=10)
    assert counts.min() >= 3, "all labels have slots, as often as images"


@pytest.mark.parametrize("start", ["noise", "replay"])
def test_what_is_reported_at_the_end_stands_beside_its_anchors(start: str, env: Env) -> None:
    values: dict[str, float] = {}
    pictures: dict[str, Images | Matrix | Curve] = {}
    for event in studies.load("conditional_ebm").play(config(start=start), env):
        if isinstance(event, Scalars):
            values |= event.values
        elif isinstance(event, Images | Matrix | Curve):
            pictures[event.key] = event
    names = ["fresh", "real", "noise"] + ["replay"] * (start == "replay")
    assert {f"{group}/{name}" for group in ("fid", "fid_by_class") for name in names} | {"fid/start"} <= values.keys()
    assert all(math.isfinite(value) for value in values.values())
    assert values["fid_by_class/real"] < 0.1 * values["fid_by_class/noise"]
    assert values["accuracy/real"] == values["judge/accuracy"] > 0.9
    assert 0 <= values["accuracy/conditional"] <= 1 and 0 <= values["accuracy/energy_test"] <= 1
    samples = pictures["samples/fresh"]
    assert isinstance(samples, Images) and (len(samples.images), samples.columns) == (40, 4), "a row a class"
    told = pictures["energy/confusion_test"]
    assert isinstance(told, Matrix) and told.values.sum() == 359, "all test digits"
    asked = pictures["samples/confusion"]
    assert isinstance(asked, Matrix) and asked.values.sum(1).tolist() == [4] * 10
    assert float(asked.values.trace() / 40) == pytest.approx(values["accuracy/conditional"])


def test_images_of_a_class_are_compared_with_the_real_ones_of_that_class(env: Env) -> None:
    data = datasets.load("digits", env.data_folder)
    quality = finished(Quality.obtain(data, env, 10 * len(data.validation)))
    images, labels = data.validation.floats(), data.validation.labels
    assert by_class(quality, data, images, labels) == pytest.approx([0.0] * 10, abs=1e-3)
    assert min(by_class(quality, data, images, (labels + 1) % 10)) > 0.1


def test_settings_that_cannot_work_are_refused(env: Env) -> None:
    with pytest.raises(ValidationError, match="fewer than two a class; raise it to 100"):
        config(classes=50)
    with pytest.raises(datasets.DataError, match="digits has 10 classes; make room by --set classes=10"):
        list(conditional_training.train(config(classes=4), env))
