"""Settings of a discrete autoencoder, of its training, and of what is made of its codes."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.parts.settings import Activation


class Config(BaseModel):
    """One discrete autoencoder, how it is trained and how its codes are clustered. All fields are settings of a trial."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    blocks: int = Field(1, ge=0, le=32, description="residual blocks at the size of the codes, on either side")
    width: int = Field(32, ge=1, le=1024, description="channels of every layer")
    halvings: int = Field(
        1, ge=1, le=6, description="of the images on the way to the codes: (side / 2^halvings)² tokens"
    )
    activation: Activation = Field("silu", description="of encoder and decoder")

    quantiser: Literal["ema", "gumbel"] = Field(
        "ema", description="nearest code, which follows a moving average | code drawn by Gumbel-softmax"
    )
    codebook_size: int = Field(64, ge=2, le=65_536, description="codes")
    code_dimension: int = Field(16, ge=1, le=1024, description="numbers of a code")
    commitment: float = Field(0.25, ge=0, description="weight β of |z − e|², which keeps encodings near codes (ema)")
    decay: float = Field(0.95, ge=0, lt=1, description="of the moving average that a code is (ema)")
    restart_below: float = Field(
        0.05, ge=0, lt=1, description="share of even use under which a code begins anew; 0: never (ema)"
    )
    normalise: bool = Field(False, description="encodings and codes have length 1 (ema)")
    temperature_start: float = Field(1.0, gt=0, description="of Gumbel-softmax, at the first update (gumbel)")
    temperature_end: float = Field(0.3, gt=0, description="at the last one, reached geometrically (gumbel)")
    kl_weight: float = Field(1e-4, ge=0, description="of the divergence of a token's law from even use (gumbel)")

    learning_rate: float = Field(2e-3, gt=0, description="of Adam, after a warm-up; falls to a twentieth by a cosine")
    batch_size: int = Field(64, ge=2, description="images per update")
    updates: int = Field(1_000, ge=1, description="budget")
    evaluations: int = Field(4, ge=1, le=1000, description="times that reconstructions are looked at, evenly")
    deformation: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="how far encoded images are turned, sheared, scaled and moved; the original is wanted back",
    )
    plain: bool = Field(True, description="train the same network without quantiser beside it, on the same batches")

    prior_updates: int = Field(400, ge=0, description="of the prior over tokens, which draws new images; 0: none")
    prior_width: int = Field(128, ge=1, le=4096, description="of the prior's memory")
    evaluation_samples: int = Field(256, ge=16, description="images that are drawn and scored; FID depends on it")

    clustered: Literal["vectors", "histogram"] = Field(
        "vectors", description="of an image: its quantised vectors | how often it has each token"
    )
    clustered_images: int = Field(70_000, ge=30, description="training images that are clustered, at most")
    embedding: Literal["none", "spectral"] = Field("spectral", description="what is done before KMeans")
    embedding_margin: int = Field(5, ge=0, description="dimensions beyond K, where K clusters are tried (spectral)")
    embedding_neighbours: int | None = Field(
        None, ge=1, description="of each image in the graph; None: log₂ of the number of images (spectral)"
    )
    k_least: int = Field(2, ge=2, description="fewest clusters that are tried")
    k_most: int = Field(20, ge=2, le=200, description="most clusters that are tried")
    k_rule: Literal["silhouette", "davies_bouldin", "calinski_harabasz", "given"] = Field(
        "silhouette", description="the score whose best K is chosen; given: k_given"
    )
    k_given: int = Field(10, ge=2, description="clusters, where k_rule=given")
    initialisations: int = Field(5, ge=2, description="of KMeans for each K")
    silhouette_images: int = Field(2_000, ge=30, description="images of which scores are means, at most")

    classifier_steps: int = Field(200, ge=1, description="updates of each classifier")
    classifier_seeds: int = Field(3, ge=2, description="classifiers on true labels, and as many on pseudo-labels")
    tsne_images: int = Field(500, ge=30, description="points of the t-SNE picture, at most")

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
