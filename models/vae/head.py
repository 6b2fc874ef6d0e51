"""A classifier on the code: trained with the autoencoder, or afterwards on frozen codes."""

from collections.abc import Iterator

import torch

from models.data.dataset import Data
from models.env import Env
from models.events import Event, Matrix, Scalars
from models.parts.evaluation.classes import accuracy, confusion
from models.parts.training import classifier
from models.vae.config import Config
from models.vae.networks import Autoencoder

LEARNING_RATE = 3e-3
BATCH = 128


def classification(config: Config, network: Autoencoder, data: Data, env: Env, step: int) -> Iterator[Event]:
    """What the code says of the class: accuracy on validation images, and on the test split, which selects nothing."""
    assert network.head is not None
    if config.head == "after":
        learn(config, network, data, env)
    values = {}
    for name, split in (("validation", data.validation), ("test", data.test)):
        with torch.no_grad():
            logits = network.head(network.codes(split.floats())).cpu()
        values[f"accuracy/{name}"] = accuracy(logits, split.labels)
        if name == "validation":
            counts = confusion(split.labels, logits.argmax(1), config.classes)
            yield Matrix(step, "classifier/confusion_validation", counts, data.classes, data.classes)
    yield Scalars(step, values)


def learn(config: Config, network: Autoencoder, data: Data, env: Env) -> None:
    """Teach the head the labels of training images by their frozen codes: the encoder does not change."""
    assert network.head is not None
    codes, labels = network.codes(data.train.floats()), data.train.labels.to(env.device)
    settings = config.head_updates, BATCH, LEARNING_RATE, env.generator("head")
    for _ in classifier.learn(network.head, codes, labels, *settings, least=0.05):
        pass
