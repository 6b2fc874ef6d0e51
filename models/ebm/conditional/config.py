"""The settings of an energy-based model with labels."""

from typing import Literal

from pydantic import Field, model_validator

from models.ebm import config as ebm

Conditioning = Literal["modulation", "channels", "head"]


class Config(ebm.Config):
    """One energy-based model with labels, and how it is trained."""

    label: Conditioning = Field("head", description="label conditioning of the network")
    classes: int = Field(10, ge=2, description="number of labels: at least those of the data")
    wrong_label_weight: float = Field(
        0.0, ge=0, description="weight of log(1 + Σ exp(E(x, y) − E(x, y′))), y′ the wrong labels of a real image"
    )

    @property
    def update_cost(self) -> float:
        """What an update takes of the budget; where wrong labels count, real images are evaluated with every label.

        With label=head one evaluation has them all.
        """
        passes = 1 if self.label == "head" else self.classes
        return super().update_cost + (passes * self.batch_size / self.chains if self.wrong_label_weight else 0)

    @model_validator(mode="after")
    def _without_likelihood(self) -> "Config":
        if self.annealing_temperatures:
            raise ValueError(
                "annealing_temperatures is for energies without labels: E(x, y) has a Z for each label; leave it at 0"
            )
        return self

    @model_validator(mode="after")
    def _enough(self) -> "Config":
        if self.evaluation_samples < 2 * self.classes:
            raise ValueError(
                f"evaluation_samples={self.evaluation_samples} are fewer than two a class; raise it to {2 * self.classes}"
            )
        return self
