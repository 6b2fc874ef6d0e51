"""When the training of a flow is lost: the signs, each with a name."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from models.events import Diverged
from models.parts.training.reporting import past_grace_period

GRACE_PERIOD = 200  # updates before a flow can be expected to know anything
PATIENCE = 3  # reports in a row
LARGEST_INVERSE_ERROR = 1e-2  # of a pixel in [0, 1)
LARGEST_FIXED_POINT_ERROR = 1e-4  # of what entered a residual block


@dataclass(frozen=True)
class DivergenceMonitor:
    """What earlier reports showed. ``update`` returns the next monitor, or raises Diverged."""

    worse_than_uniform: int = 0  # reports in a row

    def update(self, step: int, updates: int, measurements: Mapping[str, float], levels: int) -> "DivergenceMonitor":
        """Judge a report: pixels that take each of ``levels`` equally often have exactly log₂ levels bits."""
        bits, norm = measurements["likelihood/training_bits"], measurements["training/gradient_norm"]
        if not (math.isfinite(bits) and math.isfinite(norm)):
            raise Diverged("non_finite", step, f"bits per dimension are {bits}, the gradient's norm {norm}")
        uniform, late = math.log2(levels), past_grace_period(step, updates, GRACE_PERIOD)
        worse = self.worse_than_uniform + 1 if late and bits > uniform else 0
        if worse >= PATIENCE:
            raise Diverged(
                "worse_than_uniform",
                step,
                f"{bits:.3g} bits per dimension; pixels that take each level equally often have {uniform:.3g}",
            )
        return replace(self, worse_than_uniform=worse)


def check_inverse(step: int, error: float) -> None:
    """Judge an evaluation: the largest difference of a pixel from itself, after the flow and its inverse; may raise Diverged."""
    if not error <= LARGEST_INVERSE_ERROR:  # NaN too
        raise Diverged(
            "not_invertible",
            step,
            f"a pixel in [0, 1] comes back {error:.2g} away from where it was; lower bound or learning_rate",
        )


def check_contraction(step: int, updates: int, norm: float, error: float) -> None:
    """Judge an evaluation of residual blocks: the largest norm of a layer, and the largest error of a fixed point."""
    if not past_grace_period(step, updates, GRACE_PERIOD) and step < updates:
        return
    if not norm <= 1:
        raise Diverged(
            "not_contractive",
            step,
            f"a layer of a residual block has norm {norm:.3g}, above 1; raise norm_iterations or lower learning_rate",
        )
    if not error <= LARGEST_FIXED_POINT_ERROR:
        raise Diverged(
            "not_contractive",
            step,
            f"the fixed point of a residual block is {error:.2g} away from its image's; lower coefficient",
        )
