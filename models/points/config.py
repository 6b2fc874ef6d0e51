"""Settings of a flow that denoises point clouds, and of its training. No torch here."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.parts.effect import OnlyWith


class Config(BaseModel):
    """One denoising flow and how it is trained. All fields are settings of a trial."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    points: int = Field(
        512, ge=64, description="points of a cloud, drawn from its clean points; three such samples fit"
    )
    neighbours: int = Field(16, ge=4, le=63, description="nearest points of each point, whose features it sees")
    features: Literal["offsets", "planes"] = Field(
        "planes",
        description="what a point knows of its neighbourhood beside relative places: offsets, to means of neighbours; planes, "
        "the foot points on planes through 8 and all neighbours as well",
    )
    augmentation: int = Field(16, ge=1, le=64, description="channels beside the three coordinates")
    steps: int = Field(4, ge=1, le=16, description="of the flow: actnorm, 1×1 mixing and two couplings each")
    width: int = Field(48, ge=4, le=256, description="of the networks in the couplings")
    disentangle: Literal["mask", "consistency"] = Field(
        "mask",
        description="how noise leaves the latent code: mask sets channels to 0; consistency learns a matrix of all channels, "
        "and draws its result to the code of the clean cloud",
    )
    masked: Annotated[int, OnlyWith("disentangle", ["mask"])] = Field(
        12, ge=1, description="channels that are set to 0, the last ones of the augmentation"
    )
    consistency: Annotated[float, OnlyWith("disentangle", ["consistency"])] = Field(
        1e-3, ge=0, description="weight of the squared distance to the code of the clean cloud"
    )
    iterations: int = Field(1, ge=1, le=8, description="times that a cloud is denoised, each on the result before")

    noise_least: float = Field(
        0.005, gt=0, description="least σ of the Gaussian noise of training; radius of a cloud: 1"
    )
    noise_most: float = Field(0.05, gt=0, description="largest σ of the noise of training")
    outliers: float = Field(
        0.5, ge=0, le=1, description="share of training clouds with background points, up to a tenth"
    )
    paired: float = Field(
        0.2,
        ge=0,
        description="weight of the error to the own clean place of a point, beside that to the nearest of the dense clean cloud, "
        "which is 1: without it points clump",
    )
    nll_weight: float = Field(1e-4, ge=0, description="weight of the negative log likelihood, in nats a channel")
    learning_rate: float = Field(3e-3, gt=0, description="of Adam, with warm-up; cosine decay to 1/20")
    batch_size: int = Field(4, ge=1, description="clouds per update")
    updates: int = Field(1_000, ge=1, description="budget, in updates")
    evaluations: int = Field(8, ge=1, le=1000, description="number of evaluations, evenly over training")
    evaluation_clouds: int = Field(16, ge=1, description="validation clouds that are scored, at each σ and corruption")

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if self.noise_least > self.noise_most:
            raise ValueError(f"noise_least={self.noise_least} is above noise_most={self.noise_most}; exchange them")
        if self.disentangle == "mask" and self.masked > self.augmentation:
            raise ValueError(f"masked={self.masked} is above augmentation={self.augmentation}; lower it")
        if self.neighbours >= self.points:
            raise ValueError(f"neighbours={self.neighbours} is not below points={self.points}; lower it")
        return self
