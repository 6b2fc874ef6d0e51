"""What a report of training measures."""

from typing import NamedTuple

from torch import Tensor

from models.jem.chains import ChainEnds
from models.jem.config import Config
from models.parts.evaluation.classes import accuracy
from models.parts.training.energy_divergence import saturation


class Update(NamedTuple):
    """What an update was made of."""

    real: Tensor  # (n, *shape)
    labels: Tensor  # (n,)
    logits: Tensor  # (n, classes), of real images
    chains: ChainEnds | None
    on_samples: Tensor | None  # energies (n,)
    loss: Tensor
    entropy: Tensor
    gap: Tensor
    gradient_norm: Tensor


def measure(config: Config, update: Update, step: int, learning_rate: float) -> dict[str, float]:
    """The measurements after ``step`` updates, by name."""
    values = {
        "loss": update.loss.item(),
        "loss/classification": update.entropy.item(),
        "accuracy/train": accuracy(update.logits, update.labels),
        "training/gradient_norm": update.gradient_norm.item(),
        "training/network_evaluations": step * config.update_cost,
        "training/learning_rate": learning_rate,
    }
    if update.chains is not None and update.on_samples is not None:
        begin, samples, info = update.chains
        values |= {
            "loss/likelihood": update.gap.item(),
            "energy/data": -update.logits.logsumexp(1).mean().item(),
            "energy/samples": update.on_samples.mean().item(),
            "chain/gradient_norm": info.gradient.flatten(1).norm(dim=1).mean().item(),
            "chain/moved": (samples - begin).flatten(1).norm(dim=1).mean().item(),
            "chain/saturation": saturation(samples),
            "chain/saturation_data": saturation(update.real),
        }
        if config.sampler == "proximal":
            values["chain/clip_share"] = (info.gradient.abs() >= config.clamp).float().mean().item()
    return values
