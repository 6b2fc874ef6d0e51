"""How do a GAN, a WGAN with clipping and a WGAN with gradient penalty converge on Fashion-MNIST, in DCGAN's small networks?"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from models.gan.config import Config, Loss
from studies import ImageShape, Suggest, _gan

# What the papers have, with one learning rate for all. A gradient penalty is of each image alone, which batch normalisation
# in the critic would entangle: it has none there.
AS_WRITTEN: Mapping[Loss, Mapping[str, Any]] = {
    "bce": {"critic_norm": "batch", "zero_penalty": 0.0, "beta1": 0.5, "beta2": 0.999},
    "wgan": {"critic_norm": "batch", "n_critic": 5, "clip": 0.01, "equalised": False, "centred": False},
    "wgan_gp": {"critic_norm": "none", "n_critic": 5, "beta1": 0.5, "beta2": 0.9},
}
RATES = {"generator_learning_rate": 2e-4, "critic_learning_rate": 2e-4}


def base(shape: ImageShape) -> Config:
    """4×4 convolutions alone, latent 100, batches of 64, nothing told; 20 epochs or more of 50,400 images for each loss."""
    samples = 300 if max(shape[1:]) <= 16 else 1_000
    budget = {"network_evaluations": 82_000, "evaluations": 20, "evaluation_samples": samples}
    return Config(latent_size=100, batch_size=64, inner_convolutions=False, ema_decay=0.0, **RATES, **budget)


def space(suggest: Suggest, base: Config) -> Config:
    """The loss alone; what it is trained with is as its paper has it, where nothing else is said."""
    loss: Loss = suggest.suggest_categorical("loss", list(AS_WRITTEN))
    written = {name: value for name, value in AS_WRITTEN.get(loss, {}).items() if getattr(base, name) is None}
    return Config.model_validate(base.model_dump() | written | {"loss": loss})


STUDY = replace(
    _gan.study(__doc__, ["bce"], 1, {"network_evaluations": 120, "n_critic": 1}),
    base=base,
    space=space,
    first=tuple({"loss": loss} for loss in AS_WRITTEN),
    trials=len(AS_WRITTEN),
    data="fashion_mnist:80/20",
)
