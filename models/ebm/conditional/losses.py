"""What makes an energy with labels tell right labels from wrong ones."""

import torch.nn.functional as F
from torch import Tensor, nn


def wrong_label_loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """log(1 + Σ exp(E(x, y) − E(x, y′))) over the wrong labels y′, the mean over images (n, *shape) with labels y (n,).

    Contrastive divergence compares images of one label and says nothing of two labels of one image. This is −log p(y | x),
    where p(y | x) ∝ exp(−E(x, y)): it lifts the wrong labels of real images, most of all those that are nearly as low as y.
    """
    return F.cross_entropy(-network(images), labels)
