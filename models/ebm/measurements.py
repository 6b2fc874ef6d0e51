"""What a report of training measures."""

from typing import Any, NamedTuple

from torch import Tensor

from models.ebm.config import Config
from models.parts.training.energy_divergence import saturation


class Update(NamedTuple):
    """What an update was made of."""

    real: Tensor  # (n, *shape)
    samples: Tensor  # (n, *shape)
    info: Any  # of the last step of the chains
    on_data: Tensor  # energies (n,)
    on_samples: Tensor  # energies (n,)
    loss: Tensor
    gap: Tensor
    gradient_norm: Tensor


def measure(config: Config, update: Update, step: int, learning_rate: float) -> dict[str, float]:
    """The measurements after ``step`` updates, by name."""
    values = {
        "loss": update.loss.item(),
        "energy/data": update.on_data.mean().item(),
        "energy/samples": update.on_samples.mean().item(),
        "energy/gap": update.gap.item(),
        "chain/gradient_norm": update.info.gradient.flatten(1).norm(dim=1).mean().item(),
        "chain/saturation": saturation(update.samples),
        "chain/saturation_data": saturation(update.real),
        "training/gradient_norm": update.gradient_norm.item(),
        "training/network_evaluations": step * config.update_cost,
        "training/learning_rate": learning_rate,
    }
    if config.clip is not None:
        values["chain/clip_share"] = (update.info.gradient.abs() >= config.clip).float().mean().item()
    return values
