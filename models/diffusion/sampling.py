"""How images are drawn from noise: the settings that training and studies of samplers share, and the kernel that they name."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.parts.effect import OnlyWith

Sampler = Literal["ddim", "ddpm", "heun", "dpm_solver", "corrected"]
SAMPLERS: tuple[Sampler, ...] = ("ddim", "ddpm", "heun", "dpm_solver", "corrected")


class Sampling(BaseModel):
    """How images are drawn. All fields are settings of a trial."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    sampler: Sampler = Field(
        "ddim",
        description="how noise becomes an image: ddim; ddpm, ancestral sampling with the variance β; heun and dpm_solver, "
        "deterministic of order 2; corrected, ddim and a Langevin step after each of its own",
    )
    steps: int = Field(20, ge=1, le=4_000, description="steps from noise to image, at most timesteps")
    eta: Annotated[float, OnlyWith("sampler", ["ddim", "corrected"])] = Field(
        0.0, ge=0, le=1, description="noise of a step; 0: deterministic, 1: ancestral sampling with the variance β̃"
    )
    corrector_size: Annotated[float, OnlyWith("sampler", ["corrected"])] = Field(
        0.05, gt=0, le=1, description="step size of Langevin's step, in units of σ²"
    )
    spacing: Literal["uniform", "quadratic", "log_snr"] = Field(
        "uniform",
        description="times of the steps: even, dense near the image, or even in the logarithm of signal to noise",
    )
    clip: Literal["on", "off", "quantile"] = Field(
        "on", description="what x̂₀ is cut to at each step: [-1, 1]; nothing; a quantile of its own values"
    )
    guidance: float = Field(
        0.0, ge=0, le=20, description="weight of classifier-free guidance, for networks that know labels; 0: none"
    )
    label: int | None = Field(
        None,
        ge=0,
        description="number of the class of all new images, for networks that know labels; None: each in turn",
    )

    def check_labels(self, known: int) -> None:
        """Raises ValueError where classes are asked for and the network knows ``known`` others, or none (0)."""
        if self.guidance and not known:
            raise ValueError("guidance needs a network that knows labels; take labels=True or guidance=0")
        if self.label is not None and self.label >= known:
            classes = f"the classes 0 to {known - 1}" if known else "no classes; train one with labels=True"
            raise ValueError(f"label={self.label}: the network knows {classes}")
