"""The trainer of the toy study `named.py`: it imports torch, as a real one does."""

from collections.abc import Generator, Iterator, Mapping
from typing import Any

import torch

from models.env import Env
from models.events import Checkpoint, Event, Images, Scalars, Weights
from tests.toy_studies.named import Config


def train(config: Config, env: Env, resume: Mapping[str, Any] | None = None) -> Generator[Event, None, Config]:
    for step in range(1, config.steps + 1):
        yield Scalars(step, {"distance": (config.x - 0.3) ** 2 + 1 / step})
        yield Checkpoint(step, lambda step=step: {"step": step})
    return config


def report(config: Config, env: Env) -> Iterator[Event]:
    yield Images(config.steps, "samples/fresh", torch.full((4, 1, 8, 8), config.x))
    yield Weights({"x": torch.tensor(config.x)})


def draw(config: Config, env: Env, weights: Mapping[str, torch.Tensor], n: int) -> Images:
    return Images(0, "samples/new", torch.full((n, 1, 8, 8), float(weights["x"])))
