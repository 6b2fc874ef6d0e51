"""What is looked at class by class: rows of samples, how they are read, and how real images are."""

import torch
from torch import Tensor

from models.data.dataset import Data
from models.events import Images

COLUMNS = 10  # samples of a class in a picture


def in_turn(n: int, classes: int, device: str, first: int = 0) -> Tensor:
    """Labels (n,): each class in turn, so that all are asked for equally often; of images from number ``first``."""
    return (first + torch.arange(n, device=device)) % classes


def rows(step: int, key: str, images: Tensor, labels: Tensor) -> Images:
    """A row of images for each label, in the order of the labels."""
    images_by_class = [images[labels == label] for label in range(int(labels.max()) + 1)]
    images_by_class = [images_of_class for images_of_class in images_by_class if len(images_of_class)]
    columns = min(COLUMNS, *map(len, images_by_class))
    return Images(step, key, torch.cat([images_of_class[:columns] for images_of_class in images_by_class]), columns)


def of_slots(n: int, data: Data, device: str) -> Tensor:
    """The label that each of the n slots of a replay buffer has for ever, (n,): as frequent as among the real images."""
    return data.train.labels[torch.arange(n) % len(data.train)].to(device)


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """The share of n images whose largest of (n, classes) logits, or probabilities, is that of their label (n,)."""
    return float((logits.argmax(1) == labels).float().mean())


def confusion(truth: Tensor, answers: Tensor, classes: int, columns: int | None = None) -> Tensor:
    """A row for each true class, a column for each answer: (classes, classes or columns), on the processor."""
    columns = columns or classes
    return torch.bincount(truth.cpu() * columns + answers.cpu(), minlength=classes * columns).view(classes, columns)
