"""When the training of a diffusion model is lost: the signs, each with a name."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import median

from models.events import Diverged
from models.parts.training.reporting import past_grace_period

GRACE_PERIOD = 200  # updates before a training can be lost
PATIENCE = 3  # reports in a row
COLLAPSE_PATIENCE = 2  # evaluations in a row
LEAST_ENTROPY = 0.25  # of real images' class entropy
LARGEST_RATIO = 100.0  # of a gradient's norm to the median of those before
REMEMBERED = 50  # norms of gradients


@dataclass(frozen=True)
class DivergenceMonitor:
    """What earlier reports and evaluations showed. Each ``update`` returns the next monitor, or raises Diverged."""

    norms: tuple[float, ...] = ()  # of gradients, the last ones
    exploding: int = 0
    collapsed: int = 0

    def update(self, step: int, updates: int, measurements: Mapping[str, float]) -> "DivergenceMonitor":
        """Judge a report."""
        loss, norm = measurements["loss"], measurements["training/gradient_norm"]
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise Diverged("non_finite", step, f"the loss is {loss}, the gradient's norm {norm}")
        usual = median(self.norms) if self.norms else math.inf
        late = past_grace_period(step, updates, GRACE_PERIOD)
        exploding = self.exploding + 1 if late and norm > LARGEST_RATIO * usual else 0
        if exploding >= PATIENCE:
            raise Diverged("exploding_gradient", step, f"the gradient's norm is {norm:.3g}, its median was {usual:.3g}")
        norms = self.norms if exploding else (*self.norms, norm)[-REMEMBERED:]
        return replace(self, norms=norms, exploding=exploding)

    def update_classes(self, step: int, updates: int, values: Mapping[str, float]) -> "DivergenceMonitor":
        """Judge new images by the classes that are read in them. Legibility is no sign: images of one class are legible.

        Images without classes show no collapse in this way.
        """
        if "classes/entropy" not in values:
            return self
        entropy, real = values["classes/entropy"], values["classes/entropy_real"]
        late = past_grace_period(step, updates, GRACE_PERIOD)
        collapsed = self.collapsed + 1 if late and entropy < LEAST_ENTROPY * real else 0
        if collapsed >= COLLAPSE_PATIENCE:
            raise Diverged("collapse", step, f"the class entropy is {entropy:.2g} nats, that of real images {real:.2g}")
        return replace(self, collapsed=collapsed)
