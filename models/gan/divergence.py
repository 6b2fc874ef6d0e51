"""When the rivals' training is lost: the signs, each with a name. Losses are no sign, for they say who leads, not how well."""

import math
from dataclasses import dataclass, replace

from models.events import Diverged

LEAST_DIVERSITY = 0.2  # mean distance of two generated images, of that of two real ones
LEAST_ENTROPY = 0.5  # entropy of the classes that are drawn, of that of real images
PATIENCE = 3  # reports in a row
LOOKS = 2  # looks by the judge in a row
BOUND = 1e6  # of a loss


@dataclass(frozen=True)
class Watch:
    """What was seen so far. ``look`` and ``read`` return the next watch, or raise Diverged."""

    alike: int = 0
    few: int = 0

    def look(self, step: int, of_critic: float, of_generator: float, diversity: float, settled: bool) -> "Watch":
        """Judge a report: both losses, and how far generated images are apart, of how far real ones are."""
        if not (math.isfinite(of_critic) and math.isfinite(of_generator)):
            raise Diverged(
                "non_finite", step, f"losses are {of_critic} of the critic and {of_generator} of the generator"
            )
        largest = max(abs(of_critic), abs(of_generator))
        if largest > BOUND:
            raise Diverged("loss_out_of_bounds", step, f"a loss of {largest:.3g} is beyond {BOUND:g}")
        watch = replace(self, alike=self.alike + 1 if settled and diversity < LEAST_DIVERSITY else 0)
        if watch.alike >= PATIENCE:
            raise Diverged(
                "mode_collapse", step, f"two generated images differ {diversity:.2f} times as much as two real ones"
            )
        return watch

    def read(self, step: int, entropy: float, of_real: float, settled: bool) -> "Watch":
        """Judge the entropy, in nats, of the classes that the judge sees in generated and in real images."""
        watch = replace(self, few=self.few + 1 if settled and entropy < LEAST_ENTROPY * of_real else 0)
        if watch.few >= LOOKS:
            raise Diverged(
                "mode_collapse", step, f"the entropy of classes is {entropy:.2f} nats, of real images {of_real:.2f}"
            )
        return watch
