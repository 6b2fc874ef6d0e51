"""Settings of two rivals, a generator and a critic, and of how they are trained against each other."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.parts.effect import OnlyWith
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
Labels = Literal["none", "clusters", "critic", "both"]

LONG_UPDATES = 25  # first updates of the generator, before each of which the critic of WGAN may learn for longer
LONG_EVERY = 500  # and every so many later ones

# A critic whose weights are as they are, free of clips
PLAIN: Mapping[str, Any] = {"spectral": False, "equalised": False, "centred": False, "clip": 0.01, "long_phase": 0}

# Goodfellow et al. 2014 in the form of DCGAN (Radford et al. 2016, arXiv:1511.06434), its critic made flat at real images
# instead of normalised: Mescheder et al. 2018, arXiv:1801.04406
BCE: Mapping[str, Any] = {
    **PLAIN,
    "optimizer": "adam",
    "generator_learning_rate": 1e-3,
    "critic_learning_rate": 1e-3,
    "beta1": 0.5,
    "beta2": 0.99,
    "n_critic": 1,
    "critic_norm": "none",
    "zero_penalty": 1.0,
}

# What each loss is trained with where nobody says anything: what suits it in a budget of minutes. docs/gan.md compares them
# with what the authors of the losses had.
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
        **PLAIN,
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
    # Arjovsky et al. 2017, arXiv:1701.07875, with a critic that clipping does not cripple: weights are clipped in units of
    # 1/√(inputs of the layer) (Karras et al. 2018, arXiv:1710.10196, scale them so), filters have no mean, and the critic is
    # slow, a thousandth of the clip in an update. The paper has one clip of 0.01, 5 updates of the critic and rates of 5e-5
    "wgan": {
        "optimizer": "rmsprop",
        "generator_learning_rate": 1e-3,
        "critic_learning_rate": 1e-3,
        "beta1": 0.0,
        "beta2": 0.9,
        "n_critic": 1,
        "long_phase": 0,
        "critic_norm": "none",
        "spectral": False,
        "equalised": True,
        "centred": True,
        "clip": 1.0,
        "zero_penalty": 0.0,
    },
    # Gulrajani et al. 2017, arXiv:1704.00028: the penalty is of each image, which batch normalisation would entangle.
    # Trained as by Karras et al. 2018, arXiv:1710.10196: without momentum one update of the critic for each of the generator
    "wgan_gp": {
        **PLAIN,
        "optimizer": "adam",
        "generator_learning_rate": 1e-3,
        "critic_learning_rate": 1e-3,
        "beta1": 0.0,
        "beta2": 0.99,
        "n_critic": 1,
        "critic_norm": "none",
        "zero_penalty": 0.0,
    },
}


class Config(BaseModel):
    """A generator, its critic and their training. All fields are settings of a trial; None is what suits the loss: RECIPES."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    labels: Labels = Field(
        "none",
        description="what both networks are told: none, clusters (found without labels), critic (an auxiliary classifier), "
        "or both (class-conditional: the generator draws the class that is asked for)",
    )
    loss: Loss = Field(
        "bce",
        description="bce: cross-entropy, non-saturating; minimax: cross-entropy as first written; hinge; wgan: Wasserstein "
        "with clipping; wgan_gp: with gradient penalty; or the f-divergence that the critic bounds",
    )
    latent_size: int = Field(100, ge=1, description="dimension of the latent vector")
    width: int = Field(32, ge=1, le=1024, description="channels of the critic's first and the generator's last layer")
    inner_convolutions: bool = Field(
        True, description="3×3 convolutions between those of 4×4 that halve and double images"
    )
    critic_norm: Norm | None = Field(
        None, description="normalisation in the critic; the generator uses batch normalisation"
    )
    spectral: bool | None = Field(None, description="spectral normalisation of the critic's weights")
    equalised: bool | None = Field(
        None, description="the critic's weights are stored, clipped and learned in units of 1/√(inputs of their layer)"
    )
    centred: bool | None = Field(None, description="the critic's filters minus their mean: grey says nothing")
    classes: Annotated[int, OnlyWith("labels", ["critic", "both"])] = Field(
        10, ge=2, description="number of classes: at least those of the data (labels=critic, both)"
    )
    clusters: Annotated[int, OnlyWith("labels", ["clusters"])] = Field(
        64, ge=2, description="number of clusters of training images (labels=clusters)"
    )
    hidden_classes: Annotated[int, OnlyWith("labels", ["none"])] = Field(
        0, ge=0, description="classes that the generator is given by chance and the critic learns to read (labels=none)"
    )
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
    long_phase: Annotated[int | None, OnlyWith("loss", ["wgan"])] = Field(
        None,
        ge=0,
        description="critic updates before each of the first 25 generator updates and every 500th (wgan)",
    )
    clip: Annotated[float | None, OnlyWith("loss", ["wgan"])] = Field(
        None, gt=0, description="c: critic weights are clipped to [-c, c] (wgan)"
    )
    penalty: Annotated[float, OnlyWith("loss", ["wgan_gp"])] = Field(
        10.0, ge=0, description="λ of the gradient penalty (wgan_gp)"
    )
    zero_penalty: float | None = Field(None, ge=0, description="γ of the R1 penalty γ/2 · |∇D|² at real images")
    zero_penalty_every: int = Field(
        1, ge=1, description="R1 is added at every so many updates, and weighs as many times more"
    )
    instance_noise: float = Field(
        0.0, ge=0, description="standard deviation of the noise on the critic's inputs at the first update; decays to 0"
    )
    label_smoothing: Annotated[float, OnlyWith("loss", ["bce", "minimax"])] = Field(
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
    def conditions(self) -> int:
        """Classes, clusters or hidden classes that the generator is given one of, or 0."""
        return {"none": self.hidden_classes, "clusters": self.clusters, "critic": 0, "both": self.classes}[self.labels]

    @property
    def generator_inputs(self) -> int:
        """Numbers that the generator makes an image of."""
        return self.latent_size + self.conditions

    @property
    def critic_outputs(self) -> int:
        """Numbers that the critic's last layer has for an image."""
        return self.classes if self.labels == "critic" else 1 + self.conditions

    def penalises_zero(self, update: int) -> bool:
        """Whether R1 is part of the critic's loss in the generator's ``update``, from 0."""
        weight = RECIPES[self.loss]["zero_penalty"] if self.zero_penalty is None else self.zero_penalty
        return bool(weight) and update % self.zero_penalty_every == 0

    def critic_updates(self, update: int) -> int:
        """Of the critic, before the generator's ``update``, from 0."""
        usual: int = self.n_critic or RECIPES[self.loss]["n_critic"]
        long_phase: int = RECIPES[self.loss]["long_phase"] if self.long_phase is None else self.long_phase
        long = self.loss == "wgan" and (update < LONG_UPDATES or update % LONG_EVERY == 0)
        return max(usual, long_phase) if long else usual

    def critic_cost(self, update: int) -> int:
        """Batches through a network in one update of the critic: generated, judged, the real ones judged, and penalties.

        The penalty of wgan_gp is forward and its gradient, of a batch; the one at real images, of half a batch.
        """
        return 3 + 2 * (self.loss == "wgan_gp") + self.penalises_zero(update)

    def cost(self, update: int) -> int:
        """Batches through a network in an update of both: the generator learns from the last images that the critic saw."""
        return self.critic_updates(update) * self.critic_cost(update) + 1

    @property
    def updates(self) -> int:
        """Updates of the generator that the budget pays for, each with those of the critic before it."""
        left, update = self.network_evaluations, 0
        while left > 0:
            left -= self.cost(update)
            update += left >= 0
        return max(1, update)

    def real_batches(self, updates: int) -> int:
        """Batches of real images that the critic has seen after the generator's ``updates``."""
        return sum(map(self.critic_updates, range(updates)))

    def resolved(self) -> "Config":
        """With what suits the loss, wherever nothing else is said."""
        return self.model_copy(update={k: v for k, v in RECIPES[self.loss].items() if getattr(self, k) is None})

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if self.loss == "wgan_gp" and self.critic_norm == "batch":
            raise ValueError("the penalty of wgan_gp is of each image alone; set critic_norm=none, or none at all")
        resolved = self.resolved()
        if resolved.zero_penalty and resolved.critic_norm == "batch":
            raise ValueError("zero_penalty is of each image alone; set critic_norm=none, or zero_penalty=0")
        return self
