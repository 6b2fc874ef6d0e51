"""How a trained autoregressive model draws."""

from pydantic import BaseModel, ConfigDict, Field


class Config(BaseModel):
    """Samples of a trained model. At temperature 1, without limits, they are of the model itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str = Field("", description="folder of the trained network: weights and config")
    temperature: float = Field(1.0, gt=0, le=10, description="logits are divided by it; below 1 likely tokens gain")
    top_k: int = Field(0, ge=0, description="only so many likeliest tokens are drawn; 0: all")
    top_p: float = Field(
        1.0, gt=0, le=1, description="only the likeliest tokens that together have this probability are drawn"
    )
    samples: int = Field(500, ge=16, description="number of samples; FID depends on it")
