"""When a classifier that learns to generate is lost: the signs of energies, and that it has forgotten the labels."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.events import Diverged
from models.jem.config import Config
from models.parts.training.energy_divergence import GRACE_PERIOD, PATIENCE, EnergyMonitor
from models.parts.training.reporting import past_grace_period

OUTRUN = -0.5  # of α(E⁺ − E⁻): data so much likelier than where chains end that these will not catch up
UNREGULARISED_OUTRUN = -5.0  # nats of E⁺ − E⁻, where α = 0 sets no scale
FORGOTTEN = 0.5  # of the way from chance to the accuracy that it had before
KNEW = 0.2  # above chance: a classifier that began with less has nothing to forget
MEMORY = 0.8  # how much of the mean accuracy of earlier reports the next one keeps


@dataclass(frozen=True)
class DivergenceMonitor:
    """What earlier reports showed. ``update`` returns the next monitor, or raises Diverged."""

    before: float  # accuracy of the classifier that it began as
    chance: float  # one in the number of classes
    accuracy: float  # a running mean over reports
    outrun: int = 0  # reports in a row
    energies: EnergyMonitor = EnergyMonitor()

    @staticmethod
    def begin(accuracy: float, classes: int) -> "DivergenceMonitor":
        """The monitor of a classifier with this accuracy before it generates."""
        before = max(accuracy, 1 / classes)
        return DivergenceMonitor(before, 1 / classes, before)

    def update(self, step: int, config: Config, measurements: Mapping[str, float]) -> "DivergenceMonitor":
        """Judge the measurements of a report: loss, accuracy on the batch, and energies and saturation where there are chains.

        Forgetting counts only after a grace period: a network that begins untrained knows nothing yet.
        """
        if not math.isfinite(measurements["loss"]):
            raise Diverged("non_finite", step, f"the loss is {measurements['loss']}")
        late = past_grace_period(step, config.updates, GRACE_PERIOD)
        energies, outrun = self.energies, 0
        if "energy/data" in measurements:
            on_data, on_samples = measurements["energy/data"], measurements["energy/samples"]
            gap = on_data - on_samples
            outrun = self.outrun + 1 if late and gap < _outrun(config.energy_regularisation) else 0
            if outrun >= PATIENCE:
                raise Diverged("outrun", step, f"energy gap is {gap:.1f}: chains do not get down to where the data are")
            excess = measurements["chain/saturation"] - measurements["chain/saturation_data"]
            energies = energies.update(step, config.energy_regularisation, on_data, on_samples, excess, late)
        mean = MEMORY * self.accuracy + (1 - MEMORY) * measurements["accuracy/train"]
        bound = self.chance + FORGOTTEN * (self.before - self.chance)
        if late and self.before - self.chance > KNEW and mean < bound:
            raise Diverged("forgotten", step, f"accuracy fell to {mean:.2f}, from {self.before:.2f} as a classifier")
        return DivergenceMonitor(self.before, self.chance, mean, outrun, energies)

    @staticmethod
    def of(state: Mapping[str, Any]) -> "DivergenceMonitor":
        """The monitor whose fields are in ``state``."""
        return DivergenceMonitor(**{**state, "energies": EnergyMonitor(**state["energies"])})


def _outrun(alpha: float) -> float:
    """The gap E⁺ − E⁻ below which the data outrun the chains."""
    return OUTRUN / alpha if alpha > 0 else UNREGULARISED_OUTRUN
