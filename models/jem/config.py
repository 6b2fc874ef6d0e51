"""The settings of a joint energy-based model."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.parts.settings import Activation, Augmentation, NamedFile, Precision

Norm = Literal["none", "batch", "group"]
Mode = Literal["train", "eval"]

BOUNDS = (-1.0, 1.0)  # of every pixel of data and of every chain


class Config(BaseModel):
    """One classifier that generates, and how it is trained. All fields are settings of a trial."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    network: Literal["cnn", "resnet18", "wide_resnet"] = Field("cnn", description="cnn is small and for digits")
    width: int = Field(16, ge=1, le=1024, description="channels of the first stage; resnet18 has 64")
    depth: int = Field(28, ge=10, description="of network=wide_resnet: 6n + 4")
    activation: Activation = Field("silu", description="smooth ones give smooth gradients to follow")
    norm: Norm = Field("none", description="normalisation of the maps: none | batch | group")
    sampling_mode: Mode = Field(
        "train",
        description="of norm=batch while sampling: statistics of the chains (train) or averages of images (eval)",
    )
    precision: Precision = Field(
        "float32", description="of the network's inner layers; auto: bfloat16 where it is multiplied in"
    )
    classes: int = Field(10, ge=2, description="labels: as many as the data have")

    pretrain_updates: int = Field(
        600, ge=0, description="of the classifier before it generates; trials share the result"
    )
    pretrain_learning_rate: float = Field(2e-3, gt=0, description="of Adam; falls to 0 by a cosine")
    classifier: NamedFile | None = Field(
        None, description="a .safetensors file of the network's weights to begin with, instead of training them"
    )
    least_accuracy: float = Field(
        0.85, ge=0, lt=1, description="of the classifier on validation images, or it does not begin to generate"
    )

    start: Literal["noise", "mixture"] = Field(
        "mixture", description="of fresh chains: uniform noise (JEM), or a Gaussian of each class (JEM++)"
    )
    mixture_rank: int = Field(64, ge=1, description="principal directions that a class's Gaussian keeps")
    sampler: Literal["langevin", "proximal"] = Field(
        "proximal", description="plain Langevin steps (JEM), or steps with a clamped gradient (JEM++)"
    )
    step_size: float = Field(0.5, gt=0, description="a in x ← x − a∇E(x) + s·N(0, I)")
    n_steps: int = Field(10, ge=1, le=10_000, description="of a chain per update, in evaluations of the network")
    noise: float = Field(0.01, ge=0, description="s")
    clamp: float = Field(1.0, gt=0, description="δ of sampler=proximal: each element of ∇E is cut to ±δ")
    inner_steps: int = Field(1, ge=1, description="N of sampler=proximal: a step is N steps of step_size")
    target: Literal["marginal", "label"] = Field(
        "label", description="what chains of training descend: E(x), or E(x, y) of a label that they keep"
    )
    fresh_share: float = Field(0.05, ge=0, le=1, description="share of replayed chains that begin anew; 1: all do")
    buffer_size: int = Field(5_000, ge=1, description="chains in the replay buffer")

    classification_weight: float = Field(1.0, ge=0, description="of the cross-entropy")
    likelihood_weight: float = Field(1.0, ge=0, description="of E⁺ − E⁻; at 0 it is a plain classifier, without chains")
    energy_regularisation: float = Field(0.0, ge=0, description="α in L = E⁺ − E⁻ + α(E⁺² + E⁻²)")
    learning_rate: float = Field(1e-3, gt=0, description="of Adam, after a warm-up; falls to a twentieth by a cosine")
    warmup: int = Field(50, ge=0, description="updates over which learning rate and likelihood weight rise from 0")
    beta1: float = Field(0.0, ge=0, lt=1, description="of Adam: how much earlier gradients weigh in its mean")
    data_noise: float = Field(0.03, ge=0, description="deviation of the noise on images that are learned from")
    noised: Literal["data", "both"] = Field(
        "both", description="which images those are: real ones, as in JEM, or also the samples they are told from"
    )
    augmentation: Augmentation = Field("none", description="of real images: none | shift | shift_flip")
    parameter_grad_clip: float = Field(1.0, gt=0, description="largest norm of the gradient in the weights")
    ema_decay: float = Field(0.99, ge=0, lt=1, description="of the averaged weights that are scored and kept")
    batch_size: int = Field(64, ge=2, description="real images, and as many chains, per update")

    network_evaluations: int = Field(12_000, ge=1, description="budget: batches through the network, a step being one")
    evaluations: int = Field(4, ge=1, le=1000, description="times that fresh chains are scored, evenly over training")
    evaluation_samples: int = Field(256, ge=16, description="chains that are scored; FID depends on it")
    evaluation_length: int | None = Field(
        None, ge=1, description="their length, in n_steps (10, or 1 where all chains begin anew)"
    )
    fid_weight: float = Field(
        1.0, ge=0, description="points of accuracy that a unit of FID is worth in objective/weighted"
    )

    @property
    def generates(self) -> bool:
        """Whether there are chains at all in training."""
        return self.likelihood_weight > 0

    @property
    def updates(self) -> int:
        """Updates that the budget pays for: chains' steps and two batches, or one where it is a plain classifier."""
        return max(1, self.network_evaluations // (self.n_steps + 2 if self.generates else 1))

    @property
    def evaluation_steps(self) -> int:
        """Steps of the chains that are scored."""
        return self.n_steps * (self.evaluation_length or (1 if self.fresh_share == 1 else 10))

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if self.network == "resnet18" and self.width != 64:
            raise ValueError(f"resnet18 has 64 channels in its first stage, not {self.width}; set width=64")
        if self.network == "wide_resnet" and (self.depth - 4) % 6:
            raise ValueError(
                f"a wide residual network has 6n + 4 layers, not {self.depth}; set depth to 10, 16, 22 or 28"
            )
        if self.buffer_size < self.batch_size:
            raise ValueError(f"buffer_size={self.buffer_size} is below batch_size={self.batch_size}; raise it")
        if self.evaluation_samples < 2 * self.classes:
            raise ValueError(
                f"evaluation_samples={self.evaluation_samples} are fewer than two a class; raise it to {2 * self.classes}"
            )
        if self.classification_weight == 0 and not self.generates:
            raise ValueError("classification_weight and likelihood_weight are both 0; raise one, or nothing is learned")
        return self
