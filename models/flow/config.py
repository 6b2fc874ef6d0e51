"""Settings of a normalising flow, of its training and of what is looked at."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.parts.effect import OnlyWith
from models.parts.settings import NamedFile

COUPLING, RESIDUAL = OnlyWith("blocks", ["coupling"]), OnlyWith("blocks", ["residual"])
AFFINE = OnlyWith("coupling", ["affine"])


class Config(BaseModel):
    """One flow and how it is trained. All fields are settings of a trial."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    blocks: Literal["coupling", "residual"] = Field(
        "coupling",
        description="what transforms images: couplings (RealNVP, GLOW), or x + g(x) with a contractive g (residual flows)",
    )
    mixing: Annotated[Literal["convolution", "shuffle", "reverse", "checkerboard"], COUPLING] = Field(
        "convolution",
        description="what lets all pixels be transformed: between couplings, channels are mixed by an invertible 1×1 convolution "
        "(GLOW), shuffled or reversed; checkerboard: couplings of checkerboards and of halves of channels in turn (RealNVP)",
    )
    coupling: Annotated[Literal["affine", "additive"], COUPLING] = Field(
        "affine", description="how a coupling transforms a part: scale and shift, or a shift alone"
    )
    scale: Annotated[Literal["tanh", "sigmoid", "exp"], COUPLING, AFFINE] = Field(
        "tanh",
        description="log scale of a coupling: bounded both ways; sigmoid, which can only shrink (GLOW's code); exp, unbounded",
    )
    bound: Annotated[float, COUPLING, AFFINE, OnlyWith("scale", ["tanh"])] = Field(
        3.0, gt=0, le=20, description="largest log scale of a coupling, to either side"
    )
    normalise: Literal["actnorm", "none"] = Field(
        "actnorm", description="scale and shift of each channel before a block, which start from data"
    )
    scales: int = Field(
        2, ge=1, le=6, description="sizes of maps, each half of the one before; half of the channels leave at each"
    )
    steps: int = Field(
        4,
        ge=0,
        le=64,
        description="couplings of each scale, and of each kind of mask; or residual blocks of convolutions",
    )
    width: int = Field(48, ge=2, le=1024, description="channels in the network of a coupling or residual block")
    depth: int = Field(1, ge=0, le=8, description="1×1 convolutions in such a network, between two of 3×3")
    dense_steps: Annotated[int, RESIDUAL] = Field(
        8, ge=0, le=64, description="residual blocks of all pixels at once, after those of convolutions"
    )
    hidden: Annotated[int, RESIDUAL] = Field(128, ge=2, le=4096, description="units in such a block")
    coefficient: Annotated[float, RESIDUAL] = Field(
        0.97, gt=0, lt=1, description="largest operator norm of each layer of a residual block"
    )
    norm_iterations: Annotated[int, RESIDUAL] = Field(
        5, ge=1, le=100, description="Lanczos iterations for the norm of each layer after an update"
    )
    exact_terms: Annotated[int, RESIDUAL] = Field(
        2, ge=1, le=64, description="terms of a log-determinant's series that are always computed in training"
    )
    tail: Annotated[Literal["geometric", "poisson", "none"], RESIDUAL] = Field(
        "geometric",
        description="law of the number of further terms, which Russian roulette weighs so that there is no bias; none: the "
        "series is cut, which is biased",
    )
    tail_terms: Annotated[float, RESIDUAL, OnlyWith("tail", ["geometric", "poisson"])] = Field(
        2.0, gt=0, le=20, description="mean number of further terms"
    )
    probes: Annotated[int, RESIDUAL] = Field(
        1, ge=1, le=64, description="random vectors of Hutchinson's trace for each image and update"
    )
    gradient: Annotated[Literal["neumann", "series"], RESIDUAL] = Field(
        "neumann", description="of a log-determinant: by the Neumann series, with little memory, or through all terms"
    )
    logit: float = Field(
        0.0, ge=0, lt=0.5, description="α of the logit that pixels go through first, in (0, ½); 0: no logit"
    )
    levels: int | None = Field(
        None, ge=2, le=256, description="grey levels to which images are rounded; None: those of the data"
    )

    labels: bool = Field(False, description="the prior of the smallest maps knows the class of an image")
    classes: int = Field(10, ge=2, description="with labels: the number of classes of the data")
    temperature: float = Field(
        1.0, gt=0, le=2, description="of new images: latent noise is multiplied by it; the model itself has 1"
    )

    learning_rate: float = Field(2e-3, gt=0, description="of Adam, with warm-up; cosine decay to 1/20")
    batch_size: int = Field(64, ge=2, description="images per update")
    updates: int = Field(2_000, ge=1, description="budget, in updates")
    evaluations: int = Field(8, ge=1, le=1000, description="number of evaluations, evenly over training")
    evaluation_samples: int = Field(256, ge=16, description="number of new images per evaluation; FID depends on it")
    likelihood_images: int = Field(
        1_000, ge=2, description="validation images whose bits are computed, four times each"
    )
    background_updates: int = Field(
        200,
        ge=0,
        description="updates by which the trained flow becomes a background flow, for the ratio of likelihoods; 0: there is none",
    )
    background_noise: float = Field(
        0.5, gt=0, lt=1, description="share of pixels of its training images that are drawn anew"
    )
    background_pixels: Literal["place", "uniform"] = Field(
        "place",
        description="what these become: the pixel of another training image at the same place; any level (Ren et al.)",
    )
    inception_weights: NamedFile | None = Field(
        None, description="file with torch-fidelity's Inception weights, for fid/inception"
    )

    @property
    def known_classes(self) -> int:
        """Classes that images can be asked for; 0 for a flow that knows none."""
        return self.classes if self.labels else 0

    @property
    def halvings(self) -> int:
        """How often the sides of images are halved: checkerboards and residual blocks need no squeeze at the last scale."""
        return self.scales - 1 if self.residual or self.mixing == "checkerboard" else self.scales

    @property
    def residual(self) -> bool:
        """Whether blocks are x + g(x)."""
        return self.blocks == "residual"

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if self.steps == 0 and not self.residual:
            raise ValueError("steps=0 leaves no coupling; take steps=1 or more")
        if self.steps == self.dense_steps == 0:
            raise ValueError("steps=0 and dense_steps=0 leave no residual block; take dense_steps=1 or more")
        return self
