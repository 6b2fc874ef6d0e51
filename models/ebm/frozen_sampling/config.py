"""The settings of chains of an energy that is trained already."""

from typing import get_args

from pydantic import BaseModel, Field, model_validator

from models.ebm.config import Sampler
from samplers import schedules

SAMPLERS: tuple[str, ...] = get_args(Sampler)
SEARCHED = tuple(name for name in SAMPLERS if name != "proximal")  # it targets no known law


class Config(BaseModel, frozen=True, extra="forbid"):
    """Chains of a trained energy. Fields are in the order in which one would think of them."""

    model: str = Field("", description="folder of the trained network: its weights and what they are of")
    sampler: str = Field("langevin", description=f"of the chains: {' | '.join(SAMPLERS)}")
    step_size: float = Field(10.0, gt=0, description="a in x ← x − a∇E + s·noise")
    n_steps: int = Field(100, ge=1, description="of a chain, in evaluations of the network")
    friction: float = Field(
        1.0, ge=0, description="of sampler=underdamped: 1 / how many steps a velocity is remembered"
    )
    schedule: str = Field("constant", description=f"of the noise: {' | '.join(schedules.SHAPES)}")
    noise_start: float = Field(5e-3, ge=0, description="s at the beginning of a chain")
    noise_end: float = Field(5e-4, ge=0, description="s at its end, unless constant")
    coupled: bool = Field(False, description="step size follows the square of the noise, with the same mean")
    grad_clip: float | None = Field(0.1, gt=0, description="each element of ∇E is cut to ± this; none for no limit")
    samples: int = Field(256, ge=16, description="chains that are scored; FID depends on it")

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
