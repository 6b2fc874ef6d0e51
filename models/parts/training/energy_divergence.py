"""When the training of an energy is lost: the signs that it never recovers from, each with a name.

The loss is no sign, for it goes to zero in good runs and bad ones alike. With L = E⁺ − E⁻ + α(E⁺² + E⁻²) a sampler that
never fools the network leaves E± at its optimum ∓1/2α, so α(E⁺ − E⁻) → −1, whatever α is; healthy runs stay near 0.
"""

import math
from dataclasses import dataclass, replace

from torch import Tensor

from models.events import Diverged

PINNED_GAP = -0.5  # half way to the −1 of a network that is never fooled
ENERGY_BOUND = 5.0  # of α|E|: ten times the optimum 1/2 that the regularisation allows
UNREGULARISED_BOUND = 1e4  # of |E|, where α = 0 sets no scale
SATURATION_BOUND = 0.3  # of the difference between the samples' share of black and white and the data's
PATIENCE = 3  # reports in a row
GRACE_PERIOD = 100  # updates before chains can look like data at all


def saturation(x: Tensor) -> float:
    """Share of pixels within half a percent of black or white."""
    return float((x.abs() > 0.99).float().mean())


@dataclass(frozen=True)
class EnergyMonitor:
    """What earlier reports showed. ``update`` returns the next monitor, or raises Diverged."""

    pinned: int = 0
    saturated: int = 0

    def update(
        self,
        step: int,
        alpha: float,
        data_energy: float,
        sample_energy: float,
        saturation_gap: float,
        past_grace_period: bool,
    ) -> "EnergyMonitor":
        """Judge a report: mean energies of data and samples, and the samples' saturation less the data's.

        Saturation counts only when ``past_grace_period``: chains that have only begun are as grey as the noise they began from.
        """
        if not (math.isfinite(data_energy) and math.isfinite(sample_energy)):
            raise Diverged("non_finite", step, f"energies are {data_energy} on data and {sample_energy} on samples")
        largest = max(abs(data_energy), abs(sample_energy))
        bound = ENERGY_BOUND / alpha if alpha > 0 else UNREGULARISED_BOUND
        if largest > bound:
            raise Diverged("energy_out_of_bounds", step, f"|E| = {largest:.3g} is beyond {bound:.3g}")
        gap = alpha * (data_energy - sample_energy)
        monitor = replace(
            self,
            pinned=self.pinned + 1 if gap < PINNED_GAP else 0,
            saturated=self.saturated + 1 if past_grace_period and abs(saturation_gap) > SATURATION_BOUND else 0,
        )
        if monitor.pinned >= PATIENCE:
            raise Diverged("pinned", step, f"regularisation × energy gap is {gap:.2f}: chains never fool the network")
        if monitor.saturated >= PATIENCE:
            raise Diverged("saturation", step, f"samples saturate {saturation_gap:+.2f} more often than data")
        return monitor
