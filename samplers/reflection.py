"""Elastic walls: what free motion within bounds does when it meets them."""

import torch
from torch import Tensor

Bounds = tuple[float, float]


def clip_to_bounds(x: Tensor, bounds: Bounds | None) -> Tensor:
    """Positions whose elements beyond ``bounds`` are put onto them; without bounds all as they are."""
    return x if bounds is None else x.clamp(*bounds)


def reflect(x: Tensor, velocity: Tensor, bounds: Bounds) -> tuple[Tensor, Tensor]:
    """Positions after a free flight to ``x``, folded back into ``bounds`` element by element, and their velocities.

    An element that has met an odd number of walls moves the other way. The motion keeps volume and, with the velocity
    turned round, leads back to where it began; so integrators and Metropolis ratios made for free space stay exact
    within walls (Neal 2011, arXiv:1206.1901, section 5.1).
    """
    low, high = bounds
    width = high - low
    unfolded = (x - low).remainder(2 * width)  # in a world of mirrors, whose period is twice the width
    turned = unfolded > width
    folded = low + torch.where(turned, 2 * width - unfolded, unfolded)
    return folded.clamp_(low, high), torch.where(turned, -velocity, velocity)  # clamped: rounding may step outside
