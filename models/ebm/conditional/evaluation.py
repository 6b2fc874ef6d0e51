"""Looking at energies with labels: do fresh chains end in what was asked for, and are they good images of it?"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from models.data import dataset as datasets
from models.data.dataset import Data, Split
from models.ebm.conditional.config import Config
from models.ebm.conditional.networks import network
from models.ebm.evaluation import SHOWN, Result, energy_along_chain, replayed_slots, sample, scores
from models.env import Env
from models.events import Curve, Event, Images, Matrix, Progress, Scalars, Weights
from models.parts.evaluation import calibration, metrics, outliers
from models.parts.evaluation.classes import COLUMNS, confusion, in_turn, of_slots, rows
from models.parts.evaluation.neighbours import nearest_training_images
from models.parts.evaluation.quality import Quality
from models.parts.networks.blocks import restored
from samplers.kernel import Energy

LABELLED_IMAGES = 2_000  # real images whose label is read from energies, at most
BATCH = 64  # images at a time, each with every label


def conditional_energy(net: nn.Module, labels: Tensor) -> Energy:
    """E(·, y) for as many images as there are labels (n,), or a multiple of it: replicas of a chain lie side by side."""
    return lambda x: net(x, labels.repeat_interleave(len(x) // len(labels)))


def initial_samples(result: Result, env: Env) -> Iterator[Event]:
    """Fresh chains before the first update: where the picture that plays over training begins."""
    data = result.data
    labels = in_turn(COLUMNS * len(data.classes), len(data.classes), env.device)
    energy = conditional_energy(result.network, labels)
    yield rows(0, "samples/fresh", sample(result.config, env, energy, data.shape, len(labels))[1], labels)


def images_in_turn(config: Any, env: Env, net: nn.Module, data: Data, n: int) -> Images:
    """Ends of ``n`` fresh chains, a column for each class."""
    labels = in_turn(n, len(data.classes), env.device)
    ends = sample(config, env, conditional_energy(net, labels), data.shape, n)[1]
    return Images(0, "samples/new", ends, columns=len(data.classes))


def evaluate(result: Result, env: Env) -> Iterator[Event]:
    """A look during training: is it getting better?"""
    config, net, data, quality, step = result.config, result.network, result.data, result.quality, result.step
    yield Progress("evaluation", 0, 1)
    labels = in_turn(config.evaluation_samples, len(data.classes), env.device)
    _, fresh = sample(config, env, conditional_energy(net, labels), data.shape, len(labels))
    yield rows(step, "samples/fresh", fresh, labels)
    values = {"fid/fresh": quality.fid(fresh), "accuracy/conditional": quality.read_as(fresh, labels)}
    values |= _means({"fresh": _fid_by_class(quality, data, fresh, labels)})
    if result.images is not None:
        slots = replayed_slots(config, env, result.images)
        replayed, slot_labels = result.images[slots], of_slots(config.buffer_size, data, env.device)[slots]
        yield rows(step, "samples/replay", replayed, slot_labels)
        values |= {"fid/replay": quality.fid(replayed), "accuracy/replay": quality.read_as(replayed, slot_labels)}
    yield Scalars(step, values)


def report(result: Result, env: Env) -> Iterator[Event]:
    """All scores of the finished model, over all and by class, beside their anchors; labels read from energies; samples."""
    config, net, data, quality, step = result.config, result.network, result.data, result.quality, result.step
    yield Progress("evaluation", 0, 3)
    labels = in_turn(config.evaluation_samples, len(data.classes), env.device)
    begin, fresh = sample(config, env, conditional_energy(net, labels), data.shape, len(labels))
    yield rows(step, "samples/fresh", fresh, labels)
    by_class = _anchors_by_class(result, env) | {"fresh": _fid_by_class(quality, data, fresh, labels)}
    values = {"accuracy/conditional": quality.read_as(fresh, labels), "accuracy/real": quality.judge.accuracy}
    replayed = None
    if result.images is not None:
        slots = replayed_slots(config, env, result.images)
        replayed, slot_labels = result.images[slots], of_slots(config.buffer_size, data, env.device)[slots]
        yield rows(step, "samples/replay", replayed, slot_labels)
        values["accuracy/replay"] = quality.read_as(replayed, slot_labels)
        by_class["replay"] = _fid_by_class(quality, data, replayed, slot_labels)
    yield Scalars(step, values | _means(by_class) | scores(result, env, begin, fresh, replayed))
    classes = [float(number) for number in range(len(data.classes))]
    yield Curve(step, "samples/fid_by_class", classes, by_class, "number of the class", "FID of the class", log_y=True)
    counts = confusion(labels, quality.judge.predict(fresh).argmax(1), len(data.classes))
    yield Matrix(step, "samples/confusion", counts, data.classes, data.classes, "asked", "read by the judge")
    yield Progress("evaluation", 1, 3)
    yield from _classification(result, env)
    yield Progress("evaluation", 2, 3)
    yield from nearest_training_images(fresh[:16], data, step)
    shown, real_labels = (
        in_turn(SHOWN, len(data.classes), env.device),
        data.validation.labels[: config.evaluation_samples].to(env.device),
    )
    yield from energy_along_chain(result, env, conditional_energy(net, shown), conditional_energy(net, real_labels))
    n = config.evaluation_samples
    yield Scalars(step, outliers.auroc(lambda x: _energies(net, x, data).min(1).values, data, env, n, {"fresh": fresh}))
    yield Weights.of(net)
    yield Progress("evaluation", 3, 3)


def _fid_by_class(quality: Quality, data: Data, images: Tensor, labels: Tensor) -> list[float]:
    """For each class FID of its share of the n images against its validation images, NaN where either are fewer than two.

    So few images give a FID far above that of many: it compares with others of the same number alone.
    """
    features, share, distances = quality.judge.features(images), quality.n // len(data.classes), []
    for label in range(len(data.classes)):
        real = quality.reference[(data.validation.labels == label).to(quality.reference.device)]
        generated = features[(labels == label).to(features.device)][:share]
        distances.append(metrics.fid(real, generated) if min(len(real), len(generated)) > 1 else math.nan)
    return distances


def _anchors_by_class(result: Result, env: Env) -> dict[str, list[float]]:
    """FID by class of real training images and of uniform noise, as many as there are samples."""
    data, quality = result.data, result.quality
    indices = torch.cat([(data.train.labels == label).nonzero()[: quality.n] for label in range(len(data.classes))])[
        :, 0
    ]
    labels = in_turn(quality.n, len(data.classes), env.device)
    noise = torch.rand(quality.n, *data.shape, generator=env.generator("noise by class"), device=env.device) * 2 - 1
    real = data.train.floats(indices)
    return {
        "real": _fid_by_class(quality, data, real, data.train.labels[indices]),
        "noise": _fid_by_class(quality, data, noise, labels),
    }


def _means(by_class: Mapping[str, list[float]]) -> dict[str, float]:
    """``fid_by_class/name``: the mean over the classes that have a value."""
    finite_values = {name: [value for value in values if math.isfinite(value)] for name, values in by_class.items()}
    return {f"fid_by_class/{name}": sum(values) / len(values) for name, values in finite_values.items() if values}


def _energies(net: nn.Module, images: Tensor, data: Data) -> Tensor:
    """E(x, y) for every class of the data: (n, classes)."""
    with torch.no_grad():
        return torch.cat([net(batch)[:, : len(data.classes)] for batch in torch.split(images, BATCH)])


def _classification(result: Result, env: Env) -> Iterator[Event]:
    """The label of least energy, for real images that were not learned from; and whether p(y|x) ∝ exp(−E(x, y)) is calibrated.

    The test split is looked at here, after everything else is decided, and nothing is chosen by it.
    """
    data, step = result.data, result.step

    def logits(split: Split) -> tuple[Tensor, Tensor]:
        labels = split.labels[:LABELLED_IMAGES]
        return -_energies(result.network, split.floats(torch.arange(len(labels))).to(env.device), data).cpu(), labels

    learned, (validation, labels), (test, test_labels) = logits(data.train), logits(data.validation), logits(data.test)
    scale = calibration.temperature(*learned)
    for name, answers, truth in (("validation", validation, labels), ("test", test, test_labels)):
        counts = confusion(truth, answers.argmax(1), len(data.classes))
        yield Matrix(step, f"energy/confusion_{name}", counts, data.classes, data.classes)
        yield Scalars(step, {f"accuracy/energy_{name}": float(counts.trace() / counts.sum())})
    values = {
        "calibration/temperature": scale,
        "calibration/error": calibration.error(validation, labels),
        "calibration/error_scaled": calibration.error(validation / scale, labels),
    }
    yield Scalars(step, values)


def draw(config: Config, env: Env, weights: Mapping[str, Tensor], n: int) -> Images:
    """``n`` new images by a trained network, a column for each class: ends of fresh chains."""
    data = datasets.load(env.data, env.data_folder)
    return images_in_turn(config, env, restored(network(config, data.shape), weights, env.device), data, n)
