"""When the training of an energy-based model is lost: by the signs that all energies share."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.ebm.config import Config
from models.parts.training.energy_divergence import GRACE_PERIOD, EnergyMonitor
from models.parts.training.reporting import past_grace_period


@dataclass(frozen=True)
class DivergenceMonitor:
    """What earlier reports showed. ``update`` returns the next monitor, or raises Diverged."""

    energies: EnergyMonitor = EnergyMonitor()

    def update(self, step: int, config: Config, measurements: Mapping[str, float]) -> "DivergenceMonitor":
        """Judge the measurements of a report."""
        chains = config.objective == "contrastive_divergence"  # denoised images are greyer than real ones, and may be
        saturation_gap = measurements["chain/saturation"] - measurements["chain/saturation_data"]
        energies = self.energies.update(
            step,
            config.energy_regularisation if chains else 0.0,
            measurements["energy/data"],
            measurements["energy/samples"],
            saturation_gap if chains else 0.0,
            past_grace_period(step, config.updates, GRACE_PERIOD),
        )
        return DivergenceMonitor(energies)

    def state(self) -> dict[str, Any]:
        """The state for a checkpoint."""
        return asdict(self.energies)

    @staticmethod
    def of(state: Mapping[str, Any]) -> "DivergenceMonitor":
        """The monitor with such a state."""
        return DivergenceMonitor(EnergyMonitor(**state))
