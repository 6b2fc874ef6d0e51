"""Whether values are shown and weighed on a logarithmic scale."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def spans_decades(values: Sequence[float] | NDArray[np.float64], spread: float = 20.0) -> bool:
    """Whether an axis of these values is to be logarithmic: all above 0, and the greatest over ``spread`` times the least."""
    return len(values) > 0 and bool(max(values) > spread * min(values) > 0)
