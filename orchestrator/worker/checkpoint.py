"""A trial's checkpoints, the last two: each written whole or not at all, and read without running code.

They are in the trial's folder, or at an ``address`` that other machines reach as well; see ``stores.checkpoint_store``.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator import files
from orchestrator.delivery import outbox
from orchestrator.layout import CHECKPOINT, PREVIOUS_CHECKPOINT
from orchestrator.stores import checkpoint_store
from orchestrator.stores.checkpoint_store import Parcel


def save(folder: Path, state: Mapping[str, Any], address: str = "") -> None:
    """Write a trial's checkpoint and keep the one before. ``state`` holds nested dicts and lists of tensors, numbers, strings.

    Raises CannotWrite, which leaves the one that was there.
    """
    import torch

    buffer = io.BytesIO()  # torch turns a full disk into an error without a name, so it does not write itself
    torch.save(dict(state), buffer)
    if address:
        return checkpoint_store.write(address, Parcel(buffer.getvalue(), outbox.undelivered(folder)))
    files.replace(folder / CHECKPOINT, buffer.getbuffer(), keep=folder / PREVIOUS_CHECKPOINT)


def load(
    folder: Path, usable: Callable[[dict[str, Any]], bool] = lambda state: True, address: str = ""
) -> dict[str, Any] | None:
    """The newest checkpoint of a trial that can be read and is ``usable``, on the CPU; None where there is none.

    One at an ``address`` brings the record that it refers to, where the folder does not have it: it is written there.
    """
    import torch

    if address:
        for parcel in checkpoint_store.read(address):
            far: dict[str, Any] = torch.load(io.BytesIO(parcel.state), map_location="cpu", weights_only=True)
            if not usable(far):
                outbox.restore(folder, parcel.record)
            return far
        return None
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


def remove(folder: Path, address: str = "") -> None:
    """Forget a trial's checkpoints, if any."""
    if address:
        checkpoint_store.remove(address)
    for name in (CHECKPOINT, PREVIOUS_CHECKPOINT, f"{CHECKPOINT}.part"):
        (folder / name).unlink(missing_ok=True)
