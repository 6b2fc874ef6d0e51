"""When the training of an autoregressive model is lost: the signs, each with a name."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from models.events import Diverged
from models.parts.training.reporting import past_grace_period

PATIENCE = 3  # reports in a row
EVALUATION_PATIENCE = 2  # evaluations in a row
GRACE_PERIOD = 100  # updates before a model can be expected to know anything


@dataclass(frozen=True)
class DivergenceMonitor:
    """What earlier reports showed. ``update`` and ``update_validation`` return the next monitor, or raise Diverged."""

    above_uniform: int = 0  # reports in a row that are worse than uniform pixels
    above_independent: int = 0  # evaluations in a row that are worse than independent pixels

    def update(self, step: int, updates: int, measurements: Mapping[str, float], levels: int) -> "DivergenceMonitor":
        """Judge a report: bits per dimension of a training batch; ``levels`` equally likely grey levels have log₂ of them."""
        bits, uniform = measurements["loss/bits_per_dimension"], math.log2(levels)
        if not math.isfinite(bits):
            raise Diverged("non_finite", step, f"the loss is {bits}")
        worse = past_grace_period(step, updates, GRACE_PERIOD) and bits > uniform
        monitor = replace(self, above_uniform=self.above_uniform + 1 if worse else 0)
        if monitor.above_uniform >= PATIENCE:
            detail = f"a batch has {bits:.3f} bits per dimension, {levels} equally likely levels have {uniform:.3f}"
            raise Diverged("worse_than_uniform", step, detail)
        return monitor

    def update_validation(self, step: int, updates: int, bits: float, independent: float) -> "DivergenceMonitor":
        """Judge an evaluation: bits per dimension of validation images, and those of independent pixels."""
        if not math.isfinite(bits):
            raise Diverged("non_finite", step, f"validation images have {bits} bits per dimension")
        worse = past_grace_period(step, updates, GRACE_PERIOD) and bits > independent
        monitor = replace(self, above_independent=self.above_independent + 1 if worse else 0)
        if monitor.above_independent >= EVALUATION_PATIENCE:
            detail = f"validation images have {bits:.3f} bits per dimension, independent pixels have {independent:.3f}"
            raise Diverged("worse_than_independent", step, detail)
        return monitor
