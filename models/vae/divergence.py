"""When the training of a variational autoencoder is lost: the signs, each with a name."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from models.events import Diverged
from models.parts.training.reporting import past_grace_period

GRACE_PERIOD = 200  # updates before a training can be lost
PATIENCE = 3  # reports in a row
COLLAPSED_KL = 0.1  # nats per image
HALF_NAT = 0.5  # of a log probability above 0 that rounding can make


@dataclass(frozen=True)
class References:
    """What a training is read against, on validation images."""

    mean_image_error: float  # squared error of the mean training image
    independent_bits: float  # bits per dimension of the pixels' own frequencies, each place for itself


@dataclass(frozen=True)
class DivergenceMonitor:
    """What earlier reports showed. ``update`` returns the next monitor, or raises Diverged."""

    collapsed: int = 0  # reports in a row in which the code says nothing
    worse_than_mean: int = 0
    worse_than_independent: int = 0

    def update(
        self, step: int, updates: int, annealed: bool, measurements: Mapping[str, float], references: References
    ) -> "DivergenceMonitor":
        """Judge a report. ``annealed``: β is at its largest, so the bound is that of the model.

        A *partial* collapse, where some dimensions of the code are used, is a number (latent/active) and no ending.
        """
        loss, kl = measurements["loss"], measurements.get("latent/kl", math.inf)
        if not math.isfinite(loss):
            raise Diverged("non_finite", step, f"the loss is {loss}")
        if measurements["likelihood/training_nats"] > HALF_NAT:
            raise Diverged(
                "likelihood_unbounded",
                step,
                "images have a probability above 1: the likelihood does not fit the levels",
            )
        late = past_grace_period(step, updates, GRACE_PERIOD) and step > updates / 2
        error, bits = measurements["loss/squared_error"], measurements.get("likelihood/training_bits", -math.inf)
        monitor = DivergenceMonitor(
            self.collapsed + 1 if late and annealed and kl < COLLAPSED_KL else 0,
            self.worse_than_mean + 1 if late and error > references.mean_image_error else 0,
            self.worse_than_independent + 1 if late and annealed and bits > references.independent_bits else 0,
        )
        if monitor.collapsed >= PATIENCE:
            raise Diverged(
                "posterior_collapse",
                step,
                f"codes hold {kl:.2g} nats: all images have one; lower beta or raise free_nats",
            )
        if monitor.worse_than_mean >= PATIENCE:
            raise Diverged(
                "worse_than_mean",
                step,
                f"error {error:.3g}; the mean image alone has {references.mean_image_error:.3g}",
            )
        if monitor.worse_than_independent >= PATIENCE:
            raise Diverged(
                "worse_than_independent",
                step,
                f"{bits:.3g} bits per dimension; independent pixels have {references.independent_bits:.3g}",
            )
        return monitor
