"""Settings of a variational autoencoder, of its training, and of what is made of its latent space."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.parts.effect import OnlyWith
from models.parts.settings import Activation, NamedFile

Likelihood = Literal["logistic", "bernoulli", "gaussian"]
RANDOM = OnlyWith("latent", ["gaussian"])


class Config(BaseModel):
    """One autoencoder, variational or plain, and how it is trained. All fields are settings of a trial."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    latent: Literal["gaussian", "none"] = Field(
        "gaussian",
        description="code of an image: a Gaussian (VAE), or one point without noise and KL (plain autoencoder)",
    )
    latent_size: int = Field(16, ge=1, le=1024, description="dimensions of the code")
    stochastic_layers: int = Field(
        1, ge=1, le=2, description="layers of latent variables; the second, half as large, is the prior of the first"
    )
    width: int = Field(16, ge=1, le=1024, description="channels at full size; smaller maps have twice as many")
    hidden: int = Field(256, ge=1, le=8192, description="units between the maps and the code")
    blocks: int = Field(
        1, ge=0, le=16, description="residual blocks for each size of map, in the decoder and the encoder"
    )
    activation: Activation = Field("silu", description="of encoder and decoder")

    likelihood: Likelihood = Field(
        "logistic",
        description="of pixels: a discretised logistic over the grey levels; bernoulli, for two levels alone; or a Gaussian "
        "with one learned deviation",
    )
    bound: Literal["elbo", "importance"] = Field(
        "elbo", description="what is maximised: the evidence lower bound, or that of importance_samples codes (IWAE)"
    )
    importance_samples: Annotated[int, OnlyWith("bound", ["importance"])] = Field(
        5, ge=2, le=64, description="codes for each image if bound=importance"
    )
    beta: Annotated[float, RANDOM] = Field(
        1.0, ge=0, description="weight of the KL divergence; 1: the evidence lower bound"
    )
    annealing: Annotated[float, RANDOM] = Field(
        0.3, ge=0, le=1, description="share of the training over which β rises from 0"
    )
    free_nats: Annotated[float, RANDOM, OnlyWith("bound", ["elbo"])] = Field(
        0.05, ge=0, description="KL of each dimension that costs nothing, in nats"
    )

    prior: Literal["mixture", "normal"] = Field(
        "mixture",
        description="of new images: a mixture of Gaussians, fitted to training codes after training, or N(0, I)",
    )
    mixture_components: Annotated[int, OnlyWith("prior", ["mixture"])] = Field(
        10, ge=1, le=500, description="Gaussians of the fitted prior"
    )

    head: Literal["after", "with", "none"] = Field(
        "after",
        description="classifier on the code: trained after the autoencoder on frozen codes, with it, or not at all",
    )
    classes: int = Field(10, ge=2, description="of the head; the data's number of classes")
    head_weight: Annotated[float, OnlyWith("head", ["with"])] = Field(
        100.0, ge=0, description="weight γ of the head's cross-entropy beside the nats of an image (head=with)"
    )
    head_updates: Annotated[int, OnlyWith("head", ["after"])] = Field(
        1_000, ge=1, description="updates of the head on frozen codes (head=after)"
    )

    learning_rate: float = Field(2e-3, gt=0, description="of Adam, with warm-up; cosine decay to 1/20")
    batch_size: int = Field(64, ge=2, description="images per update")
    updates: int = Field(1_500, ge=1, description="budget, in updates")
    evaluations: int = Field(4, ge=1, le=1000, description="number of evaluations, evenly over training")
    evaluation_samples: int = Field(256, ge=16, description="number of new images per evaluation; FID depends on it")
    inception_weights: NamedFile | None = Field(
        None, description="file with torch-fidelity's Inception weights, for fid/inception"
    )
    bound_images: Annotated[int, RANDOM] = Field(
        200, ge=2, description="validation images whose importance bound is estimated"
    )
    evaluation_codes: Annotated[int, RANDOM] = Field(
        50, ge=2, le=1000, description="codes for each image in likelihood/bits_per_dimension"
    )

    @property
    def variational(self) -> bool:
        """Whether codes are random."""
        return self.latent == "gaussian"

    @property
    def upper_size(self) -> int:
        """Dimensions of the second layer of latent variables."""
        return max(1, self.latent_size // 2)

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if self.variational:
            return self
        if self.stochastic_layers > 1:
            raise ValueError("latent=none has no stochastic layers; take stochastic_layers=1 or latent=gaussian")
        if self.bound == "importance":
            raise ValueError("latent=none has no importance bound; take bound=elbo or latent=gaussian")
        if self.prior == "normal":
            raise ValueError("latent=none has no prior of its own, so new images need prior=mixture, fitted afterwards")
        return self
