"""Settings of a diffusion model, of its U-Net and of its training."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from models.diffusion.sampling import Sampling
from models.parts.effect import OnlyWith
from models.parts.settings import NamedFile


class Config(Sampling):
    """One diffusion model, how it is trained and how it draws. All fields are settings of a trial."""

    schedule: Literal["linear", "cosine", "sigmoid"] = Field("cosine", description="how images turn into noise")
    timesteps: int = Field(200, ge=2, le=4_000, description="times of the schedule, T")
    prediction: Literal["epsilon", "v", "clean"] = Field(
        "v", description="what the network predicts: the noise epsilon, v = α ε − σ x₀, or the clean image"
    )
    weight: Literal["simple", "min_snr", "bound"] = Field(
        "min_snr",
        description="of the error at each time: simple, 1 for what is predicted; min_snr, min(SNR, γ) for the image; bound, "
        "that of the likelihood's bound",
    )
    gamma: Annotated[float, OnlyWith("weight", ["min_snr"])] = Field(5.0, gt=0, description="γ of weight=min_snr")

    patch: int = Field(
        1, ge=1, le=8, description="pixels of patch × patch become channels before the U-Net; divides the side"
    )
    width: int = Field(16, ge=4, le=1024, description="channels of the largest maps; smaller ones have twice as many")
    levels: int = Field(2, ge=1, le=5, description="sizes of maps, each half of the one before")
    blocks: int = Field(1, ge=1, le=8, description="residual blocks of each level, one more on the way up")
    heads: int = Field(4, ge=1, le=64, description="of attention, on the smallest maps")

    labels: bool = Field(False, description="the network knows the class of an image, so it can be asked for")
    classes: int = Field(10, ge=2, description="with labels: the number of classes of the data")
    label_dropout: float = Field(
        0.1, ge=0, lt=1, description="with labels: share of images whose class is not told; guidance needs some"
    )

    learning_rate: float = Field(2e-3, gt=0, description="of Adam, with warm-up; cosine decay to 1/20")
    batch_size: int = Field(32, ge=2, description="images per update")
    updates: int = Field(1_500, ge=1, description="budget, in updates")
    ema_decay: float = Field(
        0.995, ge=0, lt=1, description="decay of the averaged weights, which draw images and are saved"
    )
    evaluations: int = Field(4, ge=1, le=1000, description="number of evaluations, evenly over training")
    evaluation_samples: int = Field(300, ge=16, description="number of new images per evaluation; FID depends on it")
    inception_weights: NamedFile | None = Field(
        None, description="file with torch-fidelity's Inception weights, for fid/inception"
    )
    bound_images: int = Field(128, ge=2, description="validation images whose bound is computed at the end")
    bound_times: int = Field(100, ge=1, description="times at which it is computed, at most; one of each part of 2 … T")

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if self.steps > self.timesteps:
            raise ValueError(f"steps={self.steps} is more than timesteps={self.timesteps}; take as many or fewer")
        if (channels := self.deepest) % self.heads:
            raise ValueError(f"{channels} channels do not divide into heads={self.heads}; change width or heads")
        self.check_labels(self.known_classes)
        return self

    @property
    def deepest(self) -> int:
        """Channels of the smallest maps."""
        return self.width * (2 if self.levels > 1 else 1)

    @property
    def known_classes(self) -> int:
        """Classes that images can be asked for; 0 for a network that knows none."""
        return self.classes if self.labels else 0
