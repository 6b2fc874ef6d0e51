"""A trial's checkpoint on disk: written whole or not at all, and read without running code."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAME = "checkpoint.pt"


def save(folder: Path, state: Mapping[str, Any]) -> None:
    """Replace the folder's checkpoint. ``state`` holds nested dicts and lists of tensors, numbers and strings."""
    import torch

    temporary = folder / f"{NAME}.part"
    with temporary.open("wb") as file:
        torch.save(dict(state), file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, folder / NAME)


def load(folder: Path) -> dict[str, Any] | None:
    """The folder's checkpoint, on the CPU; None where there is none."""
    import torch

    path = folder / NAME
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def remove(folder: Path) -> None:
    """Forget the folder's checkpoint, if any."""
    for name in (NAME, f"{NAME}.part"):
        (folder / name).unlink(missing_ok=True)
