"""The classifier before it generates: given, or trained once for all trials that agree on it, and kept with its curves."""

import hashlib
import json
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from models.data import dataset as datasets
from models.env import Env, derive_seed
from models.events import Curve, Diverged, Event, Facts, Progress, Scalars
from models.jem.config import Config
from models.jem.networks import network
from models.parts.evaluation.classes import accuracy
from models.parts.networks.blocks import weights_digest
from models.parts.training import cache
from models.parts.training.augmentation import noisy, vary
from models.parts.training.classifier import learn
from models.parts.training.optimisation import seeded_init
from models.parts.training.reporting import is_report_step

VERSION = "1"  # of the training; a new one leaves older caches alone
DECIDING = {
    *("network", "width", "depth", "activation", "norm", "precision", "classes", "batch_size", "data_noise"),
    *("augmentation", "pretrain_updates", "pretrain_learning_rate"),
}
N_EVALUATIONS = 20
BATCH = 512  # images at a time when they are only read


@dataclass(frozen=True, eq=False)
class Pretrained:
    """Weights on the processor, and how they came about."""

    weights: dict[str, Tensor]
    digest: str  # of all that decided them
    history: dict[str, list[float]]  # "update", and what was seen there

    @property
    def accuracy(self) -> float:
        """On validation images at the end; 0 where it was not trained."""
        return (self.history["accuracy_validation"] or [0.0])[-1]


def same_classes(config: Config, data: datasets.Data) -> None:
    """Raises DataError where ``config`` has other classes than the data."""
    if len(data.classes) != config.classes:
        raise datasets.DataError(f"{data.name} has {len(data.classes)} classes; say --set classes={len(data.classes)}")


def obtain(config: Config, data: datasets.Data, env: Env) -> Generator[Event, None, Pretrained]:
    """The classifier of ``config``: its user's, or that of the cache, or trained now; of processes that ask at once, one trains.

    It depends on no trial's seed. What is said is the same either way, but for how far it is. A file of the cache that is
    damaged is made anew. Raises Diverged for a classifier that reads too little, and DataError for a file of the user's
    that does not fit.
    """
    yield Progress("pretraining", 0, config.pretrain_updates)
    if config.classifier is not None:
        pretrained = _read_now(load_classifier(config.classifier, config, data.shape), data, env)
    else:
        pretrained = yield from _shared(config, data, env)
    yield Facts({"pretraining/hash": pretrained.digest})
    steps = pretrained.history["update"]
    curves = {name: values for name, values in pretrained.history.items() if name != "update"}
    for index, step in enumerate(steps):
        yield Scalars(int(step), {f"pretraining/{name}": values[index] for name, values in curves.items()})
    for name, label in (("loss", "cross-entropy"), ("accuracy", "share read right")):
        lines = {part: curves[f"{name}_{part}"] for part in ("train", "validation")}
        yield Curve(0, f"pretraining/{name}", steps, lines, "update", label)
    final_accuracy = curves["accuracy_validation"][-1:]  # of none that was not trained, as JEM's authors have it
    if final_accuracy and final_accuracy[0] < config.least_accuracy:
        raise Diverged(
            "untaught",
            0,
            f"the classifier reads {final_accuracy[0]:.1%} of validation images, and least_accuracy={config.least_accuracy:g}; "
            "raise pretrain_updates or lower it",
        )
    return pretrained


def _shared(config: Config, data: datasets.Data, env: Env) -> Generator[Event, None, Pretrained]:
    """From the cache, or trained and put there."""
    digest = _digest(config, data, env)
    path = env.cache_folder / f"classifier-{digest}.safetensors"
    return (
        yield from cache.shared(
            path,
            lambda: _read(path, config, data, digest),
            lambda: _train(config, data, env, digest),
            lambda pretrained: cache.write(path, pretrained.weights, "history", pretrained.history),
            Progress("pretraining", 0, config.pretrain_updates),
        )
    )


def load_classifier(path: str, config: Config, shape: tuple[int, int, int]) -> nn.Module:
    """The network with the user's own weights, on the processor."""
    with seeded_init(0):  # overwritten at once
        net = network(config, shape)
    try:
        net.load_state_dict(load_file(path))
    except FileNotFoundError:
        raise datasets.DataError(
            f"classifier={path}: there is no such file; give a .safetensors file of this network's weights, or none"
        ) from None
    except cache.DAMAGED as error:
        why = " ".join(str(error).split())[:300]
        raise datasets.DataError(
            f"{path} has no weights of this network ({why}); set network, width, depth, norm and classes as they were "
            "when it was trained, or give another classifier"
        ) from None
    return net


def _read_now(net: nn.Module, data: datasets.Data, env: Env) -> Pretrained:
    """The history of such a network is what it reads now, training images as many as validation images at most."""
    weights = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    net.to(env.device).eval()
    history = {"update": [0.0]}
    for name, split in (("train", data.train), ("validation", data.validation)):
        logits, labels = read(net, split, env.device, len(data.validation))
        history[f"loss_{name}"] = [F.cross_entropy(logits, labels).item()]
        history[f"accuracy_{name}"] = [accuracy(logits, labels)]
    return Pretrained(weights, weights_digest(net), history)


def read(classifier: nn.Module, split: datasets.Split, device: str, most: int | None = None) -> tuple[Tensor, Tensor]:
    """Logits (n, classes) of the first ``most`` images of a split, and their labels (n,), on the processor."""
    labels = split.labels[:most]
    with torch.no_grad():
        batches = torch.split(torch.arange(len(labels)), BATCH)
        return torch.cat([classifier(split.floats(indices).to(device)).cpu() for indices in batches]), labels


def _train(config: Config, data: datasets.Data, env: Env, digest: str) -> Generator[Event, None, Pretrained]:
    seed = derive_seed("classifier", digest)
    with seeded_init(seed):
        net = network(config, data.shape)
    net.to(env.device)
    generator = torch.Generator(env.device).manual_seed(seed)
    images, labels_of_images = data.train.images.to(env.device), data.train.labels.to(env.device)
    updates = config.pretrain_updates
    history: dict[str, list[float]] = {"update": []}
    for name in ("loss_train", "loss_validation", "accuracy_train", "accuracy_validation"):
        history[name] = []

    def vary_batch(batch: Tensor) -> Tensor:
        return noisy(vary(batch, config.augmentation, generator), config.data_noise, generator)

    settings = updates, config.batch_size, config.pretrain_learning_rate, generator, vary_batch
    for done, loss, logits, labels in learn(net, images, labels_of_images, *settings, warmup=1):
        if is_report_step(done, updates, N_EVALUATIONS):
            net.eval()
            answers, truth = read(net, data.validation, env.device)
            net.train()
            history["update"].append(float(done))
            history["loss_train"].append(loss.item())
            history["loss_validation"].append(F.cross_entropy(answers, truth).item())
            history["accuracy_train"].append(accuracy(logits, labels))
            history["accuracy_validation"].append(accuracy(answers, truth))
        if done % 10 == 0:
            yield Progress("pretraining", done, updates)
    return Pretrained({name: tensor.detach().cpu() for name, tensor in net.state_dict().items()}, digest, history)


def _digest(config: Config, data: datasets.Data, env: Env) -> str:
    """Of all that decides the weights; another kind of device rounds differently."""
    settings = config.model_dump(mode="json", include=DECIDING)
    deciding = [VERSION, data.digest, torch.device(env.device).type, settings]
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:16]


def _read(path: Path, config: Config, data: datasets.Data, digest: str) -> Pretrained | None:
    """What the cache holds; None where there is nothing, or nothing that is whole."""
    try:
        weights, history = cache.read(path, "history")
        with seeded_init(0):  # overwritten at once
            network(config, data.shape).load_state_dict(weights)
    except cache.DAMAGED:
        return None
    return Pretrained(weights, digest, history)
