"""How a trained flow draws."""

from pydantic import BaseModel, ConfigDict, Field


class Config(BaseModel):
    """Samples of a trained flow. At temperature 1 at all scales they are of the model itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str = Field("", description="folder of the trained network: weights and config")
    temperature: float = Field(
        1.0, gt=0, le=2, description="noise of the last scale, the coarsest, is multiplied by it"
    )
    fine_temperature: float = Field(1.0, gt=0, le=2, description="noise of all other scales is multiplied by it")
    samples: int = Field(500, ge=16, description="number of samples; FID depends on it")
