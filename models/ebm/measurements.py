"""What a report of training measures."""

from typing import NamedTuple

from torch import Tensor

from models.ebm.config import Config
from models.parts.training.energy_divergence import saturation


class Update(NamedTuple):
    """What an update was made of."""

    real: Tensor  # (n, *shape)
    seen: Tensor  # real images as the network learned from them, with their noise where chains end in such
    samples: Tensor  # (n, *shape): ends of chains, or denoised images
    gradient: Tensor  # ∇E (n, *shape), where the last step of the chains began, or of noisy images
    on_data: Tensor  # energies (n,)
    on_samples: Tensor  # energies (n,), of the ends of chains or of noisy images
    loss: Tensor
    gap: Tensor


def measure(config: Config, update: Update, norm: Tensor, step: int, learning_rate: float) -> dict[str, float]:
    """The measurements after ``step`` updates, by name; ``norm`` is that of the gradient in the weights."""
    values = {
        "loss": update.loss.item(),
        "energy/data": update.on_data.mean().item(),
        "energy/samples": update.on_samples.mean().item(),
        "energy/gap": update.gap.item(),
        "chain/gradient_norm": update.gradient.flatten(1).norm(dim=1).mean().item(),
        "chain/saturation": saturation(update.samples),
        "chain/saturation_data": saturation(update.real),
        "training/gradient_norm": norm.item(),
        "training/network_evaluations": step * config.update_cost,
        "training/learning_rate": learning_rate,
    }
    if config.clip is not None:
        values["chain/clip_share"] = (update.gradient.abs() >= config.clip).float().mean().item()
    return values
