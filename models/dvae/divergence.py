"""When the training of a discrete autoencoder is lost: the signs, each with a name."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from models.events import Diverged
from models.parts.training.reporting import past_grace_period

GRACE_PERIOD = 200  # updates before a training can be lost
COLLAPSED = 1.5  # perplexity: hardly more than one code in use
PATIENCE = 3  # reports in a row


@dataclass(frozen=True)
class DivergenceMonitor:
    """What earlier reports showed. ``update`` returns the next monitor, or raises Diverged."""

    collapsed: int = 0  # reports in a row with hardly more than one code in use
    useless: int = 0  # reports in a row that are worse than the mean image

    def update(
        self, step: int, updates: int, measurements: Mapping[str, float], mean_image_error: float
    ) -> "DivergenceMonitor":
        """Judge a report: the loss, the squared error beside that of the mean image, and the perplexity of a batch's tokens."""
        loss, error = measurements["loss"], measurements["loss/reconstruction"]
        perplexity = measurements["codes/perplexity"]
        if not math.isfinite(loss):
            raise Diverged("non_finite", step, f"the loss is {loss}")
        late = past_grace_period(step, updates, GRACE_PERIOD)
        monitor = DivergenceMonitor(
            self.collapsed + 1 if late and perplexity < COLLAPSED else 0,
            self.useless + 1 if late and error > mean_image_error else 0,
        )
        if monitor.collapsed >= PATIENCE:
            raise Diverged(
                "codebook_collapse", step, f"the perplexity of the codes is {perplexity:.2f}: all is one token"
            )
        if monitor.useless >= PATIENCE:
            raise Diverged(
                "worse_than_mean", step, f"error {error:.3g}; the mean image alone has {mean_image_error:.3g}"
            )
        return monitor
