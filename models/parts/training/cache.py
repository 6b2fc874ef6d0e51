"""Networks that are trained once and kept: a file holds the weights and what is known of them."""

import json
import os
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors
from torch import Tensor

from models.events import Event

Network = TypeVar("Network")

DAMAGED = (OSError, SafetensorError, LookupError, TypeError, ValueError, RuntimeError)
"""What reading a file raises that is not there or not whole, and what a network raises that its weights do not fit."""


def shared(
    path: Path,
    look: Callable[[], Network | None],
    make: Callable[[], Generator[Event, None, Network]],
    keep: Callable[[Network], None],
    waiting: Event,
) -> Generator[Event, None, Network]:
    """What ``look`` finds at ``path``; else it is made and kept: of processes that ask at once, one makes it.

    The others say ``waiting`` every second, for whoever waits is alive.
    """
    network = look()
    if network is not None:
        return network
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_suffix(".lock"))
    while not lock.is_locked:
        try:
            lock.acquire(timeout=1)
        except Timeout:
            yield waiting
    try:
        network = look()  # another process may have been faster
        if network is None:
            network = yield from make()
            keep(network)
        return network
    finally:
        lock.release()


def at_once(obtaining: Generator[Event, None, Network]) -> Network:
    """What it returns; nobody hears what it says on its way."""
    while True:
        try:
            next(obtaining)
        except StopIteration as end:
            network: Network = end.value
            return network


def write(path: Path, weights: Mapping[str, Tensor], key: str, metadata: Any) -> None:
    """In one piece or not at all; ``metadata`` is what JSON holds."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    tensors = {name: tensor.cpu().contiguous() for name, tensor in weights.items()}
    try:
        unfinished.write_bytes(safetensors.save(tensors, {key: json.dumps(metadata)}))
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def read(path: Path, key: str) -> tuple[dict[str, Tensor], Any]:
    """The weights and what is known of them. Raises one of DAMAGED."""
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()[key])
