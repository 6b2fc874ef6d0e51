"""Networks that are trained once and kept: a file holds the weights and what is known of them."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors
from torch import Tensor

DAMAGED = (OSError, SafetensorError, LookupError, TypeError, ValueError, RuntimeError)
"""What reading a file raises that is not there or not whole, and what a network raises that its weights do not fit."""


def write(path: Path, weights: Mapping[str, Tensor], key: str, about: Any) -> None:
    """In one piece or not at all; ``about`` is what JSON holds."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    held = {name: tensor.cpu().contiguous() for name, tensor in weights.items()}
    try:
        unfinished.write_bytes(safetensors.save(held, {key: json.dumps(about)}))
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def read(path: Path, key: str) -> tuple[dict[str, Tensor], Any]:
    """The weights and what is known of them. Raises one of DAMAGED."""
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()[key])
