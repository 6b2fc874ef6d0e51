"""Settings of two rivals, a generator and a critic, and of how they are trained against each other."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.parts.settings import NamedFile, Precision

Loss = Literal[
    "bce",
    "minimax",
    "hinge",
    "wgan",
    "wgan_gp",
    "kl",
    "reverse_kl",
    "jensen_shannon",
    "pearson",
    "hellinger",
]
Norm = Literal["batch", "none"]
Labels = Literal["none", "critic", "both"]

LONG_UPDATES = 25  # first updates of the generator, before each of which the critic of WGAN learns for longer
LONG_EVERY = 500  # and every so many later ones

# Goodfellow et al. 2014 in the form of DCGAN (Radford et al. 2016, arXiv:1511.06434), its critic made flat at real images
# instead of normalised: Mescheder et al. 2018, arXiv:1801.04406
BCE: Mapping[str, Any] = {
    "optimizer": "adam",
    "generator_learning_rate": 1e-3,
    "critic_learning_rate": 1e-3,
    "beta1": 0.5,
    "beta2": 0.99,
    "n_critic": 1,
    "critic_norm": "none",
    "spectral": False,
    "zero_penalty": 1.0,
}

# What the authors of each loss train with, but with higher learning rates, for a budget of minutes.
RECIPES: Mapping[Loss, Mapping[str, Any]] = {
    "bce": BCE,
    "minimax": BCE,
    # Nowozin et al. 2016, arXiv:1606.00709, in the same networks
    "kl": BCE,
    "reverse_kl": BCE,
    "jensen_shannon": BCE,
    "pearson": BCE,
    "hellinger": BCE,
    # Miyato et al. 2018, arXiv:1802.05957; without momentum, as in Zhang et al. 2019, arXiv:1805.08318
    "hinge": {
        "optimizer": "adam",
        "generator_learning_rate": 1e-3,
        "critic_learning_rate": 1e-3,
        "beta1": 0.0,
        "beta2": 0.99,
        "n_critic": 1,
        "critic_norm": "none",
        "spectral": True,
        "zero_penalty": 0.0,
    },
    # Arjovsky et al. 2017, arXiv:1701.07875, whose learning rate is 5e-5
    "wgan": {
        "optimizer": "rmsprop",
        "generator_learning_rate": 2e-4,
        "critic_learning_rate": 2e-4,
        "beta1": 0.0,
        "beta2": 0.9,
        "n_critic": 5,
        "critic_norm": "batch",
        "spectral": False,
        "zero_penalty": 0.0,
    },
    # Gulrajani et al. 2017, arXiv:1704.00028: the penalty is of each image, which batch normalisation would entangle.
    # Trained as by Karras et al. 2018, arXiv:1710.10196: without momentum one update of the critic for each of the generator
    "wgan_gp": {
        "optimizer": "adam",
        "generator_learning_rate": 1e-3,
        "critic_learning_rate": 1e-3,
        "beta1": 0.0,
        "beta2": 0.99,
        "n_critic": 1,
        "critic_norm": "none",
        "spectral": False,
        "zero_penalty": 0.0,
    },
}


class Config(BaseModel):
    """A generator, its critic and their training. All fields are settings of a trial; None is what the loss's authors have."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    loss: Loss = Field(
        "bce",
        description="bce: cross-entropy, non-saturating; minimax: cross-entropy as first written; hinge; wgan: Wasserstein "
        "with clipping; wgan_gp: with gradient penalty; or the f-divergence that the critic bounds",
    )
    latent_size: int = Field(100, ge=1, description="dimension of the latent vector")
    width: int = Field(32, ge=1, le=1024, description="channels of the critic's first and the generator's last layer")
    critic_norm: Norm | None = Field(
        None, description="normalisation in the critic; the generator uses batch normalisation"
    )
    spectral: bool | None = Field(None, description="spectral normalisation of the critic's weights")
    labels: Labels = Field(
        "none",
        description="label conditioning: none, auxiliary classifier, or class-conditional generator and projection critic",
    )
    classes: int = Field(10, ge=2, description="number of classes: at least those of the data")
    straight_through: bool = Field(
        False, description="the critic sees binary images; gradients pass straight through the threshold"
    )
    binary: bool | None = Field(
        None, description="threshold images for pictures and scores; None: if the data are binary"
    )

    optimizer: Literal["adam", "rmsprop"] | None = Field(None, description="of both networks")
    generator_learning_rate: float | None = Field(None, gt=0, description="of the generator; cosine decay to 1/20")
    critic_learning_rate: float | None = Field(None, gt=0, description="of the critic; cosine decay to 1/20")
    beta1: float | None = Field(None, ge=0, lt=1, description="of optimizer=adam")
    beta2: float | None = Field(None, ge=0, lt=1, description="of optimizer=adam")
    n_critic: int | None = Field(None, ge=1, le=1000, description="critic updates per generator update")
    long_phase: int = Field(
        20,
        ge=0,
        description="critic updates before each of the first 25 generator updates and every 500th (wgan)",
    )
    clip: float = Field(0.01, gt=0, description="c: critic weights are clipped to [-c, c] (wgan)")
    penalty: float = Field(10.0, ge=0, description="λ of the gradient penalty (wgan_gp)")
    zero_penalty: float | None = Field(None, ge=0, description="γ of the R1 penalty γ/2 · |∇D|² at real images")
    instance_noise: float = Field(
        0.0, ge=0, description="standard deviation of the noise on the critic's inputs at the first update; decays to 0"
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=0.5, description="one-sided: the target for real images is 1 minus this (bce, minimax)"
    )
    ema_decay: float = Field(
        0.995, ge=0, lt=1, description="decay of the generator's averaged weights, which are scored and saved"
    )
    batch_size: int = Field(64, ge=2, description="real images per update, and as many generated ones")

    precision: Precision = Field("auto", description="of convolutions; auto: bfloat16 where the hardware supports it")
    network_evaluations: int = Field(16_000, ge=1, description="budget, in batches through either network")
    evaluations: int = Field(8, ge=1, le=1000, description="number of evaluations, evenly over training")
    evaluation_samples: int = Field(1_000, ge=16, description="number of images per evaluation; FID depends on it")
    inception_weights: NamedFile | None = Field(
        None, description="file with torch-fidelity's Inception weights, for fid/inception"
    )

    @property
    def log_odds(self) -> bool:
        """Whether the critic's value is what it thinks of "real against generated": the logarithm of the odds."""
        return self.loss in ("bce", "minimax", "jensen_shannon")

    @property
    def generator_inputs(self) -> int:
        """Numbers that the generator makes an image of."""
        return self.latent_size + (self.classes if self.labels == "both" else 0)

    @property
    def critic_outputs(self) -> int:
        """Numbers that the critic's last layer has for an image."""
        return {"none": 1, "critic": self.classes, "both": 1 + self.classes}[self.labels]

    @property
    def critic_cost(self) -> int:
        """Batches through a network in an update of the critic: generated, judged, the real ones judged, and penalties.

        The penalty of wgan_gp is forward and its gradient, of a batch; the one at real images, of half a batch.
        """
        at_real = RECIPES[self.loss]["zero_penalty"] if self.zero_penalty is None else self.zero_penalty
        return 3 + 2 * (self.loss == "wgan_gp") + bool(at_real)

    def critic_updates(self, update: int) -> int:
        """Of the critic, before the generator's ``update``, from 0."""
        usual: int = self.n_critic or RECIPES[self.loss]["n_critic"]
        long = self.loss == "wgan" and (update < LONG_UPDATES or update % LONG_EVERY == 0)
        return max(usual, self.long_phase) if long else usual

    @property
    def updates(self) -> int:
        """Updates of the generator that the budget pays for, each with those of the critic before it."""
        left, update = self.network_evaluations, 0
        while left > 0:
            left -= self.critic_updates(update) * self.critic_cost + 2
            update += left >= 0
        return max(1, update)

    def resolved(self) -> "Config":
        """With what the loss's authors have, wherever nothing else is said."""
        return self.model_copy(update={k: v for k, v in RECIPES[self.loss].items() if getattr(self, k) is None})

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if self.loss == "wgan_gp" and self.critic_norm == "batch":
            raise ValueError("the penalty of wgan_gp is of each image alone; set critic_norm=none, or none at all")
        resolved = self.resolved()
        if resolved.zero_penalty and resolved.critic_norm == "batch":
            raise ValueError("zero_penalty is of each image alone; set critic_norm=none, or zero_penalty=0")
        return self
