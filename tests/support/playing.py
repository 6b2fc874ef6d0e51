"""Trainers played to their end, cut short and gone on with, and networks as they are kept."""

import io
from collections.abc import Callable, Generator
from typing import Any

import torch
from torch import nn

from models.events import Checkpoint, Compute, Event


def finished(training: Generator[Event, Any, Any], take: Callable[[Event], None] = lambda event: None) -> Any:
    """What a trainer returns; ``take`` hears what it says, and wishes are granted."""
    answer: Any = None
    while True:
        try:
            event = training.send(answer)
        except StopIteration as end:
            return end.value
        answer = event.function(event.rows) if isinstance(event, Compute) else None
        take(event)


def gone_on(train: Callable[[Any], Generator[Event, Any, Any]], half: int) -> tuple[list[Event], list[Event]]:
    """What is said from checkpoint ``half`` on: by a training that was not interrupted, and by one made of its file.

    ``train`` begins a training from a state, or from None.
    """
    saved, told = io.BytesIO(), list[Event]()
    for event in train(None):
        if isinstance(event, Checkpoint) and event.step == half:
            torch.save(dict(event.state()), saved)
            told.clear()
        told.append(event)
    saved.seek(0)
    state = torch.load(saved, weights_only=True)  # as a file is: no code runs
    torch.manual_seed(99)  # whatever the process did before
    return told, list(train(state))


def exported(network: nn.Module) -> nn.Module:
    """As the champion is kept: traced on two images of digits, free in their number."""
    network.eval()
    free = ({0: torch.export.Dim.AUTO},)
    return torch.export.export(network, (torch.zeros(2, 1, 8, 8),), dynamic_shapes=free).module()
