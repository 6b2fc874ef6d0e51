"""The loss of a joint energy-based model: a classifier's, and the likelihood's beside it."""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.jem.config import Config
from models.parts.training.energy_loss import contrastive_divergence


def joint_loss(
    logits: Tensor, labels: Tensor, on_samples: Tensor | None, config: Config, warmup_share: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, cross-entropy and energy gap E⁺ − E⁻: from the logits (n, classes) of real images and the energies (m,) of samples.

    log p(x, y) = log p(y|x) + log p(x): the gradient of the gap is that of −log p(x), were the samples the model's own.
    Where there are no samples the gap is 0. ``warmup_share`` in [0, 1] multiplies the weight of the likelihood term.
    """
    entropy = F.cross_entropy(logits, labels)
    if on_samples is None:
        return config.classification_weight * entropy, entropy, torch.zeros_like(entropy)
    on_data = -logits.logsumexp(1)
    alpha, penalised = config.energy_regularisation, config.penalised_samples
    likelihood, gap = contrastive_divergence(on_data, on_samples, alpha, penalised)
    weight = warmup_share * config.likelihood_weight
    return config.classification_weight * entropy + weight * likelihood, entropy, gap


def warmup_share(config: Config, update: int) -> float:
    """The share of the likelihood's weight at ``update``, from 0: up to 1 over the warm-up."""
    return min(1.0, (update + 1) / (config.warmup + 1))
