"""The settings of a joint energy-based model."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.parts.effect import OnlyWith
from models.parts.settings import Activation, Augmentation, NamedFile, Noised, Penalised, Precision

Norm = Literal["none", "batch", "group"]
Mode = Literal["train", "eval"]

BOUNDS = (-1.0, 1.0)  # of every pixel of data and of every chain


class Config(BaseModel):
    """One classifier that generates, and how it is trained. All fields are settings of a trial."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    network: Literal["cnn", "resnet18", "wide_resnet"] = Field(
        "cnn", description="classifier architecture; cnn is small, for digits"
    )
    width: int = Field(16, ge=1, le=1024, description="channels of the first stage; 64 for resnet18")
    depth: Annotated[int, OnlyWith("network", ["wide_resnet"])] = Field(
        28, ge=10, description="layers of network=wide_resnet: 6n + 4"
    )
    activation: Activation = Field("silu", description="of the network; smooth functions give smooth gradients")
    norm: Norm = Field("none", description="normalisation of feature maps")
    sampling_mode: Annotated[Mode, OnlyWith("norm", ["batch"])] = Field(
        "train",
        description="for norm=batch: normalise chains by their own statistics (train) or by the running averages (eval)",
    )
    precision: Precision = Field(
        "float32", description="of the inner layers; auto: bfloat16 where the hardware supports it"
    )
    classes: int = Field(10, ge=2, description="number of labels of the data")

    pretrain_updates: Annotated[int, OnlyWith("classifier", [None])] = Field(
        600, ge=0, description="updates of the classifier before generation starts; trials share the result"
    )
    pretrain_learning_rate: Annotated[float, OnlyWith("classifier", [None])] = Field(
        2e-3, gt=0, description="of Adam; cosine decay to 0"
    )
    classifier: NamedFile | None = Field(
        None, description=".safetensors file with pretrained weights, instead of pretraining"
    )
    least_accuracy: float = Field(
        0.85,
        ge=0,
        lt=1,
        description="minimum validation accuracy of the classifier; below it, generation does not start",
    )

    start: Literal["noise", "mixture"] = Field(
        "mixture", description="where fresh chains start: uniform noise (JEM), or one Gaussian per class (JEM++)"
    )
    mixture_rank: Annotated[int, OnlyWith("start", ["mixture"])] = Field(
        64, ge=1, description="rank of each class's Gaussian"
    )
    sampler: Literal["langevin", "proximal"] = Field(
        "proximal", description="Langevin steps (JEM), or steps with a clamped gradient (JEM++)"
    )
    step_size: float = Field(0.5, gt=0, description="a in x ← x − a∇E(x) + s·N(0, I)")
    n_steps: int = Field(10, ge=1, le=10_000, description="length of a chain in one update, in network evaluations")
    noise: float = Field(0.01, ge=0, description="s: standard deviation of the noise in a step")
    clamp: Annotated[float, OnlyWith("sampler", ["proximal"])] = Field(
        1.0, gt=0, description="δ of sampler=proximal: each element of ∇E is clipped to ±δ"
    )
    inner_steps: Annotated[int, OnlyWith("sampler", ["proximal"])] = Field(
        1, ge=1, description="N of sampler=proximal: each step is N steps of step_size"
    )
    target: Literal["marginal", "label"] = Field(
        "label", description="energy that training chains follow: E(x), or E(x, y) with a fixed label y"
    )
    fresh_share: float = Field(0.05, ge=0, le=1, description="share of replay chains that restart; 1: all chains")
    buffer_size: int = Field(5_000, ge=1, description="chains in the replay buffer")

    classification_weight: float = Field(1.0, ge=0, description="weight of the cross-entropy")
    likelihood_weight: float = Field(1.0, ge=0, description="weight of E⁺ − E⁻; 0: a plain classifier, no chains")
    energy_regularisation: float = Field(0.0, ge=0, description="α in L = E⁺ − E⁻ + α(E⁺² + E⁻²)")
    penalised_samples: Penalised = Field(
        "all", description="samples whose E⁻² counts in L: all, or those below zero alone"
    )
    learning_rate: float = Field(1e-3, gt=0, description="of Adam, with warm-up; cosine decay to 1/20")
    warmup: int = Field(50, ge=0, description="updates in which learning rate and likelihood weight rise from 0")
    beta1: float = Field(0.0, ge=0, lt=1, description="of Adam: momentum")
    data_noise: float = Field(0.03, ge=0, description="standard deviation of the noise added to training images")
    noised: Noised = Field(
        "both", description="images that get this noise: real ones only (JEM), or real ones and samples"
    )
    augmentation: Augmentation = Field("none", description="of real images")
    parameter_grad_clip: float = Field(1.0, gt=0, description="maximum norm of the gradient of the weights")
    ema_decay: float = Field(0.99, ge=0, lt=1, description="decay of the averaged weights, which are scored and saved")
    batch_size: int = Field(64, ge=2, description="real images per update, and as many chains unless n_chains is given")
    n_chains: int | None = Field(None, ge=1, description="chains per update; None: as many as real images")

    network_evaluations: int = Field(
        12_000, ge=1, description="budget, in batches through the network; one Langevin step is one"
    )
    evaluations: int = Field(4, ge=1, le=1000, description="number of evaluations, evenly over training")
    evaluation_samples: int = Field(256, ge=16, description="number of samples per evaluation; FID depends on it")
    inception_weights: NamedFile | None = Field(
        None, description="file with torch-fidelity's Inception weights, for fid/inception"
    )
    evaluation_length: int | None = Field(
        None, ge=1, description="chain length in evaluations, as a multiple of n_steps; None: 10, or 1 if fresh_share=1"
    )
    fid_weight: float = Field(
        1.0, ge=0, description="percentage points of accuracy that one unit of FID costs in objective/weighted"
    )

    @property
    def generates(self) -> bool:
        """Whether there are chains at all in training."""
        return self.likelihood_weight > 0

    @property
    def chains(self) -> int:
        """Chains per update."""
        return self.n_chains or self.batch_size

    @property
    def update_cost(self) -> float:
        """What an update takes of the budget, in batches of chains: their steps, their ends and the real images."""
        return self.n_steps + 1 + self.batch_size / self.chains if self.generates else 1.0

    @property
    def updates(self) -> int:
        """Updates that the budget pays for."""
        return max(1, int(self.network_evaluations / self.update_cost))

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
        if self.chains > self.batch_size:
            raise ValueError(f"n_chains={self.chains} is above batch_size={self.batch_size}; lower it")
        if self.buffer_size < self.chains:
            raise ValueError(f"buffer_size={self.buffer_size} is below the {self.chains} chains of an update; raise it")
        if self.evaluation_samples < 2 * self.classes:
            raise ValueError(
                f"evaluation_samples={self.evaluation_samples} are fewer than two a class; raise it to {2 * self.classes}"
            )
        if self.classification_weight == 0 and not self.generates:
            raise ValueError("classification_weight and likelihood_weight are both 0; raise one, or nothing is learned")
        return self
