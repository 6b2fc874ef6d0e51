"""When the rivals' training is lost: the signs, each with a name. Losses are no sign, for they say who leads, not how well."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from models.events import Diverged
from models.parts.training.reporting import past_grace_period

LEAST_DIVERSITY = 0.2  # mean distance of two generated images, of that of two real ones
LEAST_ENTROPY = 0.5  # entropy of the classes that are drawn, of that of real images
PATIENCE = 3  # reports in a row
EVALUATION_PATIENCE = 2  # evaluations by the judge in a row
BOUND = 1e6  # of a loss
GRACE_PERIOD = 200  # updates before a generator can be expected to draw anything


@dataclass(frozen=True)
class DivergenceMonitor:
    """What earlier reports showed. ``update`` and ``update_classes`` return the next monitor, or raise Diverged."""

    alike: int = 0  # reports in a row whose images are too alike
    few: int = 0  # evaluations in a row that show too few classes

    def update(self, step: int, updates: int, measurements: Mapping[str, float]) -> "DivergenceMonitor":
        """Judge a report: both losses, and how far generated images are apart, in units of real ones."""
        critic_loss, generator_loss = measurements["loss/critic"], measurements["loss/generator"]
        if not (math.isfinite(critic_loss) and math.isfinite(generator_loss)):
            raise Diverged(
                "non_finite", step, f"losses are {critic_loss} of the critic and {generator_loss} of the generator"
            )
        largest = max(abs(critic_loss), abs(generator_loss))
        if largest > BOUND:
            raise Diverged("loss_out_of_bounds", step, f"a loss of {largest:.3g} is beyond {BOUND:g}")
        diversity = measurements["training/diversity"]
        collapsed = past_grace_period(step, updates, GRACE_PERIOD) and diversity < LEAST_DIVERSITY
        monitor = replace(self, alike=self.alike + 1 if collapsed else 0)
        if monitor.alike >= PATIENCE:
            raise Diverged(
                "mode_collapse", step, f"two generated images differ {diversity:.2f} times as much as two real ones"
            )
        return monitor

    def update_classes(self, step: int, updates: int, scores: Mapping[str, float]) -> "DivergenceMonitor":
        """Judge an evaluation: the entropy, in nats, of the classes that the judge sees in generated and in real images.

        Images without classes show no collapse in this way.
        """
        if "classes/entropy" not in scores:
            return self
        entropy, real_entropy = scores["classes/entropy"], scores["classes/entropy_real"]
        collapsed = past_grace_period(step, updates, GRACE_PERIOD) and entropy < LEAST_ENTROPY * real_entropy
        monitor = replace(self, few=self.few + 1 if collapsed else 0)
        if monitor.few >= EVALUATION_PATIENCE:
            raise Diverged(
                "mode_collapse",
                step,
                f"the entropy of classes is {entropy:.2f} nats, of real images {real_entropy:.2f}",
            )
        return monitor
