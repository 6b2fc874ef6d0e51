"""Langevin dynamics with a step size of its own for each pixel, and noise that matches it.

    x ← x − a M ∇E(x) + √(2aT) √M N(0, I)

M is diagonal and constant, so the target is exp(−E/T) as without it (Girolami and Calderhead 2011, a constant metric):
no term corrects for its change. Where E is quadratic with curvature λ in a pixel, that pixel's stationary variance is
T / (λ(1 − aMλ/2)). With the data's variance for M all pixels of a fitted energy move at about the same relative pace.
"""

from torch import Generator, Tensor

from samplers.kernel import (
    Energy,
    Info,
    Kernel,
    Parameter,
    State,
    energy_and_gradient,
    per_chain,
    standard_normal,
    value_at,
)
from samplers.reflection import Bounds, clip_to_bounds, reflect


def build(
    energy: Energy,
    step_size: Parameter,
    variance: Tensor,
    temperature: Parameter = 1.0,
    grad_clip: float | None = None,
    bounds: Bounds | None = None,
) -> Kernel:
    """A preconditioned Langevin kernel.

    ``step_size`` is a >= 0 and ``temperature`` is T >= 0 above: numbers, schedules, or either with a value for each chain.
    ``variance`` is the diagonal of M, of the shape of one position or broadcast to it, all above 0; pixels that never
    vary in the data need a floor. Each element of the gradient is cut to ±``grad_clip`` before M. ``bounds`` are walls
    that reflect the end of each step: a flat energy keeps its uniform law exactly, any other the error of the step size.
    """
    if not (variance > 0).all():
        raise ValueError("the variances of a preconditioner must be above 0; add a floor to pixels that never vary")
    deviation = variance.sqrt()

    def init(x: Tensor) -> State:
        return State(clip_to_bounds(x.detach(), bounds), 0)

    def step(state: State, generator: Generator) -> tuple[State, Info]:
        x = state.position
        e, gradient = energy_and_gradient(energy, x, grad_clip)  # without M
        a, t = (per_chain(value_at(value, state.step), x) for value in (step_size, temperature))
        spread = (2 * a * t) ** 0.5
        x = x - a * (variance.to(x) * gradient) + spread * (deviation.to(x) * standard_normal(x, generator))
        if bounds is not None:
            x, _ = reflect(x, x, bounds)
        return State(x, state.step + 1), Info(e, gradient)

    return Kernel(init, step)
