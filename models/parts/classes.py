"""What is looked at class by class: rows of samples, how they are read, and how real images are."""

import torch
from torch import Tensor

from models._events import Images

COLUMNS = 10  # samples of a class in a picture


def in_turn(n: int, classes: int, device: str) -> Tensor:
    """Labels (n,): each class in turn, so that all are asked for equally often."""
    return torch.arange(n, device=device) % classes


def rows(step: int, key: str, images: Tensor, labels: Tensor) -> Images:
    """A row of images for each label, in the order of the labels."""
    of_each = [images[labels == label] for label in range(int(labels.max()) + 1)]
    of_each = [some for some in of_each if len(some)]
    columns = min(COLUMNS, *map(len, of_each))
    return Images(step, key, torch.cat([some[:columns] for some in of_each]), columns)


def confusion(truth: Tensor, answers: Tensor, classes: int) -> Tensor:
    """A row for each true class, a column for each answer: (classes, classes), on the processor."""
    return torch.bincount(truth.cpu() * classes + answers.cpu(), minlength=classes**2).view(classes, classes)
