"""Settings of models that write an image place by place, and of their training."""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.parts.settings import NamedFile

Neighbours = Literal[3, 8, 15, 24]

LARGEST_VOCABULARY = 512


class Config(BaseModel):
    """What all models of the family have. All fields are settings of a trial."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    levels: int = Field(2, ge=2, le=256, description="grey levels of a pixel; images are rounded to them")
    palette: Literal["even", "kmeans"] = Field(
        "even",
        description="where the levels lie: evenly from black to white, or at the means of k-means of training pixels",
    )
    deformation: float = Field(
        0.0, ge=0, le=0.5, description="reach of the random affine maps of training images; 0: none"
    )
    learning_rate: float = Field(3e-3, gt=0, description="of Adam; rises at first, then cosine decay to 1/20")
    warmup: int = Field(50, ge=0, description="updates over which the learning rate rises")
    weight_decay: float = Field(0.0, ge=0, description="decoupled, of weight matrices (AdamW)")
    batch_size: int = Field(64, ge=1, description="training images per update")
    updates: int = Field(400, ge=1, description="number of updates: the budget")
    flops: float | None = Field(None, gt=0, description="budget in floating-point operations, instead of updates")

    evaluations: int = Field(8, ge=1, le=1000, description="number of evaluations, evenly over training")
    evaluation_samples: int = Field(1_000, ge=16, description="number of new images that are scored; FID depends on it")
    inception_weights: NamedFile | None = Field(
        None, description="file with torch-fidelity's Inception weights, for fid/inception"
    )
    temperature: float = Field(1.0, gt=0, description="of new images: logits are divided by it; the model itself has 1")

    @property
    def patch_side(self) -> int:
        """Pixels of a side of what is written at once."""
        return 1

    @property
    def vocabulary(self) -> int:
        """Number of tokens: the states of the pixels that are written at once."""
        return int(self.levels ** (self.patch_side**2))

    @model_validator(mode="after")
    def _writable(self) -> "Config":
        if self.vocabulary > LARGEST_VOCABULARY:
            most = math.floor(LARGEST_VOCABULARY ** (1 / self.patch_side**2))
            raise ValueError(
                f"patch={self.patch_side} with levels={self.levels} has {self.vocabulary} tokens; set patch=1, or "
                f"levels of at most {most}"
            )
        return self


class BayesNetConfig(Config):
    """A Bayesian network over pixels: the parents of a pixel are its causal neighbours."""

    neighbours: Neighbours = Field(15, description="parents of a pixel, above it and to its left: 3 | 8 | 15 | 24")
    cpd: Literal["linear", "mlp"] = Field(
        "linear", description="conditional distribution: logistic regression, or a perceptron with two hidden layers"
    )
    position: Literal["none", "bias", "own"] = Field(
        "none",
        description="what each place has of its own: nothing, a bias (of the first layer), or the weights of the last layer",
    )
    width: int = Field(64, ge=1, le=1024, description="units of a hidden layer (cpd=mlp)")


class ImageGPTConfig(Config):
    """A transformer over the tokens of an image in raster order."""

    patch: Literal[1, 2] = Field(1, description="side of a patch; its pixels are one token, without loss")
    width: int = Field(32, ge=2, le=1024, description="size of embeddings")
    layers: int = Field(3, ge=1, le=48, description="number of transformer blocks")
    heads: int = Field(4, ge=1, le=64, description="attention heads of a block; they divide the width")
    position: Literal["none", "learned", "context"] = Field(
        "context",
        description="what a place knows beside the tokens before it: nothing, where it is, or also the three tokens above it",
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="of embeddings and of each block's two results")
    classes: int = Field(0, ge=0, le=1000, description="classes that the start token tells apart; 0: not conditional")

    @property
    def patch_side(self) -> int:
        return self.patch

    @model_validator(mode="after")
    def _divides(self) -> "ImageGPTConfig":
        if self.width % self.heads:
            raise ValueError(f"width={self.width} does not divide into heads={self.heads}; choose a multiple")
        return self
