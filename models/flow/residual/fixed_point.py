"""The inverse of x + g(x) by fixed-point iteration, which converges where g is contractive (Banach; Behrmann et al. 2019)."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

TOLERANCE = 1e-6  # of the largest |z|, or of 1 where that is less: float32 has seven digits
LIMIT = 100


class Inverse(NamedTuple):
    """x, the largest |x + g(x) − z| of its elements, and how often g was evaluated."""

    x: Tensor
    error: float
    evaluations: int


@torch.no_grad()
def invert(g: Callable[[Tensor], Tensor], z: Tensor, tolerance: float = TOLERANCE, limit: int = LIMIT) -> Inverse:
    """x with x + g(x) = z, of any shape, by x ← z − g(x) from z, until the error is small beside z.

    After ``limit`` evaluations of g the error may be larger: whoever asks judges it. It is NaN where g is not finite.
    """
    x, enough, evaluations = z, tolerance * max(1.0, float(z.abs().max())), 0
    while True:
        new, evaluations = z - g(x), evaluations + 1
        error = float((new - x).abs().max())  # of x: new − x is z − g(x) − x
        if error <= enough or evaluations >= limit:
            return Inverse(x, error, evaluations)
        x = new


def inverted(g: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """The same x, without its error; in a network that is being exported, a loop of the exported program."""
    if not torch.compiler.is_exporting():
        return invert(g, z).x
    z = z.detach()
    enough = TOLERANCE * z.abs().max().clamp_min(1.0)

    def unfinished(x: Tensor, error: Tensor, evaluations: Tensor) -> Tensor:
        return (error > enough) & (evaluations < LIMIT)

    def step(x: Tensor, error: Tensor, evaluations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        new = z - g(x)
        return new, (new - x).abs().max(), evaluations + 1

    start = (
        z.clone(),
        torch.full((), float("inf"), device=z.device),
        torch.zeros((), dtype=torch.int64, device=z.device),
    )
    x: Tensor = torch.while_loop(unfinished, step, start)[0]  # type: ignore[no-untyped-call]
    return x
