"""When the training of a denoising flow is lost: the signs, each with a name."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from models.events import Diverged

PATIENCE = 3  # evaluations in a row, after a quarter of training
LARGEST_ERROR = 1e-2  # of the inverse, in units of a neighbourhood


@dataclass(frozen=True)
class DivergenceMonitor:
    """What earlier evaluations showed. ``update_scores`` returns the next monitor, or raises Diverged."""

    worse_than_noisy: int = 0  # evaluations in a row

    def check(self, step: int, measurements: Mapping[str, float]) -> None:
        """Judge a report."""
        loss = measurements["loss"]
        if not math.isfinite(loss):
            raise Diverged("non_finite", step, f"the loss is {loss}")

    def update_scores(self, step: int, updates: int, values: Mapping[str, float]) -> "DivergenceMonitor":
        """Judge an evaluation."""
        error, denoised, noisy = (values[key] for key in ("flow/inverse_error", "surface/denoised", "surface/noisy"))
        if not error <= LARGEST_ERROR:
            raise Diverged("not_invertible", step, f"decoding a code misses its points by {error:.2g} neighbourhoods")
        worse = self.worse_than_noisy + 1 if step > updates / 4 and not denoised < noisy else 0
        if worse >= PATIENCE:
            raise Diverged(
                "worse_than_noisy", step, f"surface distance {denoised:.3g}; the noisy clouds have {noisy:.3g}"
            )
        return DivergenceMonitor(worse)
