"""Settings of a discrete autoencoder, of its training, and of what is made of its codes."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.parts.effect import OnlyWith
from models.parts.settings import Activation, NamedFile


class Config(BaseModel):
    """One discrete autoencoder, how it is trained and how its codes are clustered. All fields are settings of a trial."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    blocks: int = Field(1, ge=0, le=32, description="residual blocks in the encoder, and as many in the decoder")
    width: int = Field(32, ge=1, le=1024, description="channels of every layer")
    halvings: int = Field(
        1, ge=1, le=6, description="number of times the encoder halves the image: (side / 2^halvings)² tokens"
    )
    activation: Activation = Field("silu", description="of encoder and decoder")

    quantiser: Literal["ema", "gumbel"] = Field(
        "ema", description="nearest code, updated by a moving average, or a code drawn by Gumbel-softmax"
    )
    codebook_size: int = Field(64, ge=2, le=65_536, description="number of codes")
    code_dimension: int = Field(16, ge=1, le=1024, description="length of a code vector")
    commitment: Annotated[float, OnlyWith("quantiser", ["ema"])] = Field(
        0.25, ge=0, description="commitment weight β of |z − e|² (ema)"
    )
    decay: Annotated[float, OnlyWith("quantiser", ["ema"])] = Field(
        0.95, ge=0, lt=1, description="decay of the moving average of each code (ema)"
    )
    restart_below: Annotated[float, OnlyWith("quantiser", ["ema"])] = Field(
        0.05, ge=0, lt=1, description="restart a code whose use is below this share of uniform use; 0: never (ema)"
    )
    normalise: Annotated[bool, OnlyWith("quantiser", ["ema"])] = Field(
        False, description="scale encodings and codes to length 1 (ema)"
    )
    temperature_start: Annotated[float, OnlyWith("quantiser", ["gumbel"])] = Field(
        1.0, gt=0, description="temperature of Gumbel-softmax at the first update (gumbel)"
    )
    temperature_end: Annotated[float, OnlyWith("quantiser", ["gumbel"])] = Field(
        0.3, gt=0, description="temperature at the last update; geometric decay (gumbel)"
    )
    kl_weight: Annotated[float, OnlyWith("quantiser", ["gumbel"])] = Field(
        1e-4,
        ge=0,
        description="weight of the KL divergence between token probabilities and the uniform distribution (gumbel)",
    )

    learning_rate: float = Field(2e-3, gt=0, description="of Adam, with warm-up; cosine decay to 1/20")
    batch_size: int = Field(64, ge=2, description="images per update")
    updates: int = Field(1_000, ge=1, description="budget, in updates")
    evaluations: int = Field(4, ge=1, le=1000, description="number of evaluations, evenly over training")
    deformation: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="strength of random affine deformation of the input; the target is the original image",
    )
    plain: bool = Field(
        True, description="also train the same network without quantiser on the same batches, as a reference"
    )

    prior_updates: int = Field(
        400, ge=0, description="updates of the prior over tokens, which generates new images; 0: no prior"
    )
    prior_width: int = Field(128, ge=1, le=4096, description="hidden size of the prior")
    evaluation_samples: int = Field(256, ge=16, description="number of generated images to score; FID depends on it")
    inception_weights: NamedFile | None = Field(
        None, description="file with torch-fidelity's Inception weights, for fid/inception"
    )

    clustered: Literal["vectors", "histogram"] = Field(
        "vectors", description="features of an image: its quantised vectors, or its token counts"
    )
    clustered_images: int = Field(70_000, ge=30, description="maximum number of training images to cluster")
    embedding: Literal["none", "spectral"] = Field("spectral", description="transformation before KMeans")
    embedding_margin: Annotated[int, OnlyWith("embedding", ["spectral"])] = Field(
        5, ge=0, description="embedding dimensions in addition to K (spectral)"
    )
    embedding_neighbours: Annotated[int | None, OnlyWith("embedding", ["spectral"])] = Field(
        None, ge=1, description="neighbours per image in the graph; None: log₂ of the number of images (spectral)"
    )
    codes_images: Annotated[int, OnlyWith("embedding", ["spectral"])] = Field(
        10_000,
        ge=0,
        description="maximum number of images for KMeans without embedding, a reference; 0: none",
    )
    k_least: int = Field(2, ge=2, description="smallest K to try")
    k_most: int = Field(20, ge=2, le=200, description="largest K to try")
    k_rule: Literal["silhouette", "davies_bouldin", "calinski_harabasz", "given"] = Field(
        "silhouette", description="score that chooses K; given: use k_given"
    )
    k_given: Annotated[int, OnlyWith("k_rule", ["given"])] = Field(10, ge=2, description="K if k_rule=given")
    initialisations: int = Field(5, ge=2, description="KMeans initialisations for each K")
    silhouette_images: int = Field(2_000, ge=30, description="maximum number of images for the clustering scores")

    classifier_steps: int = Field(200, ge=1, description="updates of each classifier on pseudo-labels or true labels")
    classifier_seeds: int = Field(
        3, ge=2, description="number of classifiers on true labels, and as many on pseudo-labels"
    )
    tsne_images: int = Field(500, ge=30, description="maximum number of points in the t-SNE figure")

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if self.k_least > self.k_most:
            raise ValueError(f"k_least={self.k_least} is above k_most={self.k_most}; lower it")
        if self.k_rule == "given" and not self.k_least <= self.k_given <= self.k_most:
            raise ValueError(
                f"k_given={self.k_given} is not tried; it must lie between k_least={self.k_least} and k_most={self.k_most}"
            )
        if self.temperature_end > self.temperature_start:
            raise ValueError("temperature_end is above temperature_start: tokens would grow ever more random; lower it")
        return self
