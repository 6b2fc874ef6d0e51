"""The state of a training, for a checkpoint, and back."""

from collections.abc import Mapping
from typing import Any

from torch import Generator, nn
from torch.optim import Optimizer

Part = nn.Module | Optimizer | Generator
"""What changes during training and can give its state."""


def state(update: int, parts: Mapping[str, Part], **others: Any) -> dict[str, Any]:
    """Everything that decides how training continues after ``update``."""
    states = {
        name: part.get_state() if isinstance(part, Generator) else part.state_dict() for name, part in parts.items()
    }
    return {"update": update, **states, **others}


def restore(parts: Mapping[str, Part], state: Mapping[str, Any]) -> None:
    """Each part as it was when ``state`` was made."""
    for name, part in parts.items():
        if isinstance(part, Generator):
            part.set_state(state[name].cpu())
        else:
            part.load_state_dict(state[name])
