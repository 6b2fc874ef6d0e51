"""A trial's checkpoints on disk, the last two: each written whole or not at all, and read without running code."""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator import files
from orchestrator.layout import CHECKPOINT, PREVIOUS_CHECKPOINT


def save(folder: Path, state: Mapping[str, Any]) -> None:
    """Write the folder's checkpoint and keep the one before. ``state`` holds nested dicts and lists of tensors, numbers, strings.

    Raises CannotWrite, which leaves the one that was there.
    """
    import torch

    buffer = io.BytesIO()  # torch turns a full disk into an error without a name, so it does not write itself
    torch.save(dict(state), buffer)
    files.replace(folder / CHECKPOINT, buffer.getbuffer(), keep=folder / PREVIOUS_CHECKPOINT)


def load(folder: Path, usable: Callable[[dict[str, Any]], bool] = lambda state: True) -> dict[str, Any] | None:
    """The newest checkpoint of the folder that can be read and is ``usable``, on the CPU; None where there is none."""
    import torch

    for name in (CHECKPOINT, PREVIOUS_CHECKPOINT):
        try:
            state: dict[str, Any] = torch.load(folder / name, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            continue
        except Exception as error:  # a file that was cut fails in as many ways as there are places to cut it
            print(f"{folder / name} cannot be read, so the one before is used: {error}", flush=True)
            continue
        if usable(state):
            return state
    return None


def is_there(folder: Path, usable: Callable[[dict[str, Any]], bool]) -> bool:
    """Whether ``load`` would find a checkpoint, told without torch: ``usable`` sees stand-ins instead of tensors."""
    for name in (CHECKPOINT, PREVIOUS_CHECKPOINT):
        try:
            with zipfile.ZipFile(folder / name) as archive:
                (pickled,) = (path for path in archive.namelist() if path.endswith("/data.pkl"))
                with archive.open(pickled) as file:
                    state = _WithoutTensors(file).load()
        except Exception:  # as in load
            continue
        if usable(state):
            return True
    return False


class _WithoutTensors(pickle.Unpickler):
    """Reads what torch has saved: dicts, lists, numbers and strings as they are, each tensor as a stand-in; runs no code."""

    def persistent_load(self, pid: Any) -> None:
        """A tensor's memory."""

    def find_class(self, module: str, name: str) -> Any:
        """The dict of a network's weights; a stand-in for whatever else is named."""
        return OrderedDict if (module, name) == ("collections", "OrderedDict") else _StandIn


class _StandIn:
    """Takes the place of a tensor."""

    def __init__(self, *values: object) -> None:
        pass


def remove(folder: Path) -> None:
    """Forget the folder's checkpoints, if any."""
    for name in (CHECKPOINT, PREVIOUS_CHECKPOINT, f"{CHECKPOINT}.part"):
        (folder / name).unlink(missing_ok=True)
