"""What makes an energy with labels tell right labels from wrong ones."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from models.ebm.conditional.evaluation import conditional_energy


def wrong_labels(labels: Tensor, n_classes: int, generator: Generator) -> Tensor:
    """For each of ``labels`` (n,) another one, all the others with equal chance: (n,)."""
    shift = torch.randint(1, n_classes, labels.shape, generator=generator, device=labels.device)
    return (labels + shift) % n_classes


def wrong_label_loss(network: nn.Module, images: Tensor, on_data: Tensor, wrong: Tensor) -> Tensor:
    """log(1 + exp(E(x, y) − E(x, y′))), the mean over images (n, *shape) with E(x, y) = ``on_data`` and y′ = ``wrong``, (n,).

    Contrastive divergence compares images of one label and says nothing of two labels of one image. This is the logistic
    loss of telling y from y′, where p(y | x) ∝ exp(−E(x, y)).
    """
    return F.softplus(on_data - conditional_energy(network, wrong)(images)).mean()
