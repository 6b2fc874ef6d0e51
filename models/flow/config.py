"""Settings of a normalising flow, of its training and of what is looked at."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.parts.effect import OnlyWith
from models.parts.settings import NamedFile

AFFINE = OnlyWith("coupling", ["affine"])


class Config(BaseModel):
    """One flow and how it is trained. All fields are settings of a trial."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mixing: Literal["convolution", "shuffle", "reverse", "checkerboard"] = Field(
        "convolution",
        description="what lets all pixels be transformed: between couplings, channels are mixed by an invertible 1×1 convolution "
        "(GLOW), shuffled or reversed; checkerboard: couplings of checkerboards and of halves of channels in turn (RealNVP)",
    )
    coupling: Literal["affine", "additive"] = Field(
        "affine", description="how a coupling transforms a part: scale and shift, or a shift alone"
    )
    scale: Annotated[Literal["tanh", "sigmoid", "exp"], AFFINE] = Field(
        "tanh",
        description="log scale of a coupling: bounded both ways; sigmoid, which can only shrink (GLOW's code); exp, unbounded",
    )
    bound: Annotated[float, AFFINE, OnlyWith("scale", ["tanh"])] = Field(
        3.0, gt=0, le=20, description="largest log scale of a coupling, to either side"
    )
    normalise: Literal["actnorm", "none"] = Field(
        "actnorm", description="scale and shift of each channel before a coupling, which start from data"
    )
    scales: int = Field(
        2, ge=1, le=6, description="sizes of maps, each half of the one before; half of the channels leave at each"
    )
    steps: int = Field(4, ge=1, le=64, description="couplings of each scale, and of each kind of mask")
    width: int = Field(48, ge=2, le=1024, description="channels in the network of a coupling")
    depth: int = Field(1, ge=0, le=8, description="1×1 convolutions in the network of a coupling, between two of 3×3")
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
        300, ge=0, description="updates of the background flow, for the ratio of likelihoods; 0: none is trained"
    )
    background_noise: float = Field(
        0.2, gt=0, lt=1, description="share of pixels of its training images that are drawn anew, uniformly"
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
        """How often the sides of images are halved: checkerboards need no squeeze at the last scale."""
        return self.scales - 1 if self.mixing == "checkerboard" else self.scales
