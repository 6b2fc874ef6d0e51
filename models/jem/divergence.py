"""When a classifier that learns to generate is lost: the signs of energies, and that it has forgotten the labels."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.events import Diverged
from models.parts.training import energy_divergence as divergence

OUTRUN = -5.0  # nats of E⁺ − E⁻: data so much likelier than where chains end that these will not catch up
FORGOTTEN = 0.5  # of the way from chance to the accuracy that it had before
KNEW = 0.2  # above chance: a classifier that began with less has nothing to forget
MEMORY = 0.8  # how much of the mean accuracy of earlier reports the next one keeps


@dataclass(frozen=True)
class Watch:
    """What was seen so far. ``look`` returns the next watch, or raises Diverged."""

    before: float  # accuracy of the classifier that it began as
    chance: float  # one in the number of classes
    accuracy: float  # a running mean over reports
    outrun: int = 0  # reports in a row
    energies: divergence.Watch = divergence.Watch()

    def look(
        self,
        step: int,
        alpha: float,
        loss: float,
        accuracy: float,
        energies: tuple[float, float] | None,
        saturation_gap: float,
        settled: bool,
    ) -> "Watch":
        """Judge a report: the loss, the accuracy on the batch, mean energies of data and of samples where there are any,
        and the samples' saturation less the data's.

        Forgetting counts only when ``settled``: a network that begins untrained knows nothing yet.
        """
        if not math.isfinite(loss):
            raise Diverged("non_finite", step, f"the loss is {loss}")
        watched, outrun = self.energies, 0
        if energies is not None:
            gap = energies[0] - energies[1]
            outrun = self.outrun + 1 if settled and gap < OUTRUN else 0
            if outrun >= divergence.PATIENCE:
                raise Diverged("outrun", step, f"energy gap is {gap:.1f}: chains do not get down to where the data are")
            watched = watched.look(step, alpha, *energies, saturation_gap, settled)
        mean = MEMORY * self.accuracy + (1 - MEMORY) * accuracy
        bound = self.chance + FORGOTTEN * (self.before - self.chance)
        if settled and self.before - self.chance > KNEW and mean < bound:
            raise Diverged("forgotten", step, f"accuracy fell to {mean:.2f}, from {self.before:.2f} as a classifier")
        return Watch(self.before, self.chance, mean, outrun, watched)

    @staticmethod
    def of(state: Mapping[str, Any]) -> "Watch":
        """What ``state``, a dict of it, was made of."""
        return Watch(**{**state, "energies": divergence.Watch(**state["energies"])})
