"""How a trained diffusion model draws."""

from pydantic import Field, model_validator

from models.diffusion.sampling import Sampling


class Config(Sampling):
    """Images of a trained network, which is not trained any more."""

    model: str = Field("", description="folder of the trained network: weights and config")
    timesteps: int = Field(200, ge=2, le=4_000, description="of the trained network, which is not asked again")
    labels: bool = Field(False, description="whether the trained network knows labels; they are asked for in turn")
    classes: int = Field(10, ge=2, description="how many it knows")
    samples: int = Field(500, ge=16, description="number of images; FID depends on it")

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if self.steps > self.timesteps:
            raise ValueError(f"steps={self.steps} is more than the network's timesteps={self.timesteps}; take fewer")
        self.check_labels(self.known_classes)
        return self

    @property
    def known_classes(self) -> int:
        """Classes that images can be asked for; 0 for a network that knows none."""
        return self.classes if self.labels else 0
