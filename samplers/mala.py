"""The Metropolis-adjusted Langevin algorithm: a Langevin step is proposed, then accepted or rejected, so the law is exact.

    y = x − a ∇E(x) + √(2aT) N(0, I)

(Roberts and Tweedie 1996), accepted so that exp(−E/T) is stationary. The proposal is read as one leapfrog step of length
ε = √(2a) with a momentum p ~ N(0, T I) (Neal 2011, arXiv:1206.1901, section 5.2), the ratio as exp(−ΔH/T) with
H = E + |p|²/2: the same number as by densities of the proposal, and right also for a clipped gradient and between
reflecting walls.

At a temperature T the ratio is that of energies divided by T: where |E| · 6e-8 is not far below T, single precision
cannot tell an acceptance from a rejection. The recipes that make pictures run colder than that.
"""

from torch import Generator

from samplers import hmc
from samplers.kernel import Energy, Kernel, Parameter, value_at
from samplers.reflection import Bounds


def build(
    energy: Energy,
    step_size: Parameter,
    temperature: Parameter = 1.0,
    warmup: int = 0,
    target: float = 0.574,
    grad_clip: float | None = None,
    bounds: Bounds | None = None,
) -> Kernel:
    """A MALA kernel, with the state and the info of HMC's; the info's ``step_size`` is a.

    ``step_size`` is a and ``temperature`` is T above: numbers > 0, schedules, or either with a value for each chain. In
    the first ``warmup`` steps each chain adapts a step size of its own, from ``step_size`` on, towards the acceptance
    ``target`` (0.574 is best in many dimensions: Roberts and Rosenthal 1998); then it is frozen, and only from there on
    the law is exact. Each element of the gradient is cut to ±``grad_clip``, which changes the proposal and not the law.
    ``bounds`` are walls that reflect: the law is exp(−E/T) between them, exactly. Starts are cut to them.
    """
    kernel = hmc.build(
        energy,
        lambda step: (2 * value_at(step_size, step)) ** 0.5,
        1,
        temperature,
        0.0,
        warmup,
        target,
        grad_clip,
        bounds,
    )

    def step(state: hmc.State, generator: Generator) -> tuple[hmc.State, hmc.Info]:
        after, info = kernel.step(state, generator)
        return after, info._replace(step_size=info.step_size**2 / 2)

    return Kernel(kernel.init, step)
