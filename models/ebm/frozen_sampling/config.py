"""The settings of chains of an energy that is trained already."""

from typing import Annotated, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.ebm.config import Sampler
from models.parts.effect import OnlyWith
from samplers import schedules

SAMPLERS: tuple[str, ...] = get_args(Sampler)
SEARCHED = tuple(name for name in SAMPLERS if name != "proximal")  # it targets no known law


class Config(BaseModel):
    """Chains of a trained energy. Fields are in the order in which one would think of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str = Field("", description="folder of the trained network: weights and config")
    sampler: str = Field("langevin", description=f"MCMC kernel: {' | '.join(SAMPLERS)}")
    step_size: float = Field(10.0, gt=0, description="a in x ← x − a∇E + s·noise")
    n_steps: int = Field(100, ge=1, description="length of a chain, in network evaluations")
    friction: Annotated[float, OnlyWith("sampler", ["underdamped"])] = Field(
        1.0, ge=0, description="for sampler=underdamped: 1 / number of steps that a velocity lasts"
    )
    schedule: str = Field("constant", description=f"of the noise: {' | '.join(schedules.SHAPES)}")
    noise_start: float = Field(5e-3, ge=0, description="s at the start of a chain")
    noise_end: Annotated[float, OnlyWith("schedule", ["geometric", "linear", "cosine"])] = Field(
        5e-4, ge=0, description="s at the end of a chain; schedule=constant ignores it"
    )
    coupled: Annotated[bool, OnlyWith("schedule", ["geometric", "linear", "cosine"])] = Field(
        False, description="step size follows the noise, a_t ∝ s_t², with the same mean"
    )
    grad_clip: float | None = Field(0.1, gt=0, description="clip each element of ∇E to ± this; none: no clipping")
    samples: int = Field(256, ge=16, description="number of samples; FID depends on it")

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if self.schedule not in schedules.SHAPES:
            raise ValueError(f"no schedule '{self.schedule}'; there are: {', '.join(schedules.SHAPES)}")
        if self.schedule == "geometric" and not (self.noise_start > 0 and self.noise_end > 0):
            raise ValueError("schedule=geometric needs noise_start and noise_end above 0; linear can reach 0")
        if self.coupled and self.noise_start == 0:
            raise ValueError("coupled needs noise_start above 0: the step size follows the noise")
        if self.sampler not in SAMPLERS:
            raise ValueError(f"no sampler '{self.sampler}'; there are: {', '.join(SAMPLERS)}")
        return self
