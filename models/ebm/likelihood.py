"""The likelihood of images under exp(−E/T) / Z on the box: log Z by annealed importance sampling, from below and from above.

The path begins at the uniform distribution, where log Z = D log 2, and goes down through temperatures. Which temperature an
energy means is open: exp(−E) is what an energy-based model says it is, T = 1; but a gap that is measured on chains of a
temperature T has the gradient of the likelihood of exp(−E/T), times T, and those chains are far colder. So T = 1 is reported
beside the T that fits training images best. The mean log-likelihood −⟨E⟩/T − log Z is concave in 1/T: there is one best T,
and it is where the model's own mean energy is that of the images.
"""

import bisect
import copy
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from models.data import dataset as datasets
from models.ebm.config import BOUNDS, Config
from models.ebm.networks import EnergyResNet
from models.env import Env
from models.events import Curve, Event, Facts, Progress, Scalars
from models.parts.evaluation.likelihood import KIND, bits, dequantise, levels, ranks
from models.parts.training.reporting import finite
from samplers import annealing, hmc
from samplers.kernel import Energy, Kernel, run

WIDTH = BOUNDS[1] - BOUNDS[0]  # of the box
LEAPFROG_STEPS = 3  # of a transition
IMAGES = 1000  # of a split whose mean energy is taken, at most
BATCH = 256  # images through the network at a time
RESOLUTION = 1e-4  # T in units of |E|: single precision then errs by about a hundredth of a nat
SHOWN = 2.0  # times the bits of the uniform distribution: as far as the curve goes


class Path(NamedTuple):
    """From the uniform distribution to exp(−E/T): what both directions share."""

    energy: Energy
    base: annealing.Base
    transition: annealing.Transition
    betas: list[float]
    temperature: float

    def forward(self, chains: int, generator: Generator) -> annealing.Estimate:
        """log Z from below."""
        energy, base, transition, betas, temperature = self
        return annealing.forward(energy, base, transition, betas, chains, generator, temperature)

    def reverse(self, x: Tensor, generator: Generator) -> annealing.Estimate:
        """log Z from above, as far as ``x`` (chains, *shape), after a transition at T for each temperature, are draws."""
        energy, base, transition, betas, temperature = self
        settled, _ = run(transition(lambda y: energy(y) / temperature, 1.0), x, len(betas) - 1, generator)
        return annealing.reverse(energy, base, transition, betas, settled, generator, temperature)


def path(energy: Energy, shape: tuple[int, ...], temperature: float, n: int, chains: int, generator: Generator) -> Path:
    """``n`` temperatures between the uniform distribution on the box of ``shape`` and exp(−E/T), HMC tuned by pilots."""
    base = annealing.uniform(shape, BOUNDS)
    with torch.no_grad():
        spread = float(energy(base.draw(chains, generator)).std()) / temperature
    betas, pilots = ladder(n, spread), ladder(max(10, n // 10), spread)
    sizes = annealing.step_sizes(energy, base, _hmc, pilots, chains, generator, 0.3, temperature=temperature)

    def transition(bridge: Energy, beta: float) -> Kernel:
        return _hmc(bridge, sizes[pilots[bisect.bisect_left(pilots, beta)]])

    return Path(energy, base, transition, betas, temperature)


def ladder(n: int, spread: float) -> list[float]:
    """β from 0 to 1 in ``n`` >= 1 steps: equal ones while β · ``spread`` < 1, then by equal factors.

    ``spread`` is the deviation of E/T at β = 0. Each halving of a temperature takes about as much probability away as
    another, wherever the energy is like a well; before E tells anything apart, equal steps do.
    """
    span = max(math.log1p(spread), 1e-6)
    return [math.expm1(span * k / n) / math.expm1(span) for k in range(n)] + [1.0]


def likelihood(
    config: Config, network: nn.Module, data: datasets.Data, longest: Tensor, env: Env, step: int
) -> Iterator[Event]:
    """At T = 1 (``likelihood/…``) and at the T that fits best (``likelihood_fitted/…``): log Z from both sides, nats, bits.

    ``longest`` (chains, *shape) are the ends of the longest chains at hand, from which the upper bound begins.
    """
    yield Progress("likelihood", 0, 3)
    yield Facts({KIND: "estimate"})
    energy, n, chains = _full_precision(network), config.annealing_temperatures, len(longest)
    generator = env.generator("likelihood")
    n_levels = levels(data)
    images = {
        "": dequantised(data.validation, n_levels, generator),
        "_stored": data.validation.floats()[:IMAGES].to(env.device),
    }
    energies = {name: _energies(energy, batch) for name, batch in images.items()}
    learned = _energies(energy, dequantised(data.train, n_levels, generator))
    step_size, noise = config.schedules(config.n_steps)
    of_chains = noise(config.n_steps - 1) ** 2 / (2 * step_size(config.n_steps - 1))
    coldest = max(of_chains, RESOLUTION * float(learned.abs().max()))

    falling = path(energy, data.shape, coldest, n, chains, generator)
    inverse, below, above = along(falling, falling.forward(chains, generator), falling.reverse(longest, generator))
    fits = [
        -beta * float(learned.mean()) - max(bounds_of_log_z)
        for beta, *bounds_of_log_z in zip(inverse, below, above, strict=True)
    ]
    best = max(range(len(fits)), key=fits.__getitem__)
    sides, level = {"forward": below[1:], "reverse": above[1:]}, float(energies[""].mean())
    yield _curve(step, inverse[1:], sides, level, data.shape, n_levels)
    temperatures = {"likelihood": 1.0} | ({"likelihood_fitted": 1 / inverse[best]} if best else {})
    for done, (group, temperature) in enumerate(temperatures.items(), 1):
        yield Progress("likelihood", done, 3)
        annealed = path(energy, data.shape, temperature, n, chains, generator)
        lower, upper = annealed.forward(chains, generator), annealed.reverse(longest, generator)
        values = bounds(lower, upper) | {"temperature": temperature}
        for name, split_energies in energies.items():
            values |= {
                f"{key}{name}": value
                for key, value in of_images(split_energies, temperature, lower, upper, data.shape, n_levels).items()
            }
        yield Scalars(step, {f"{group}/{key}": value for key, value in finite(values).items()})
    yield Progress("likelihood", 3, 3)


def bounds(lower: annealing.Estimate, upper: annealing.Estimate) -> dict[str, float]:
    """log Z from either side, its errors and effective sample sizes, and the gap between the means of the log weights."""
    return {
        "log_z_forward": lower.log_z,
        "log_z_forward_error": lower.standard_error,
        "log_z_reverse": upper.log_z,
        "log_z_reverse_error": upper.standard_error,
        "effective_samples_forward": lower.effective_sample_size,
        "effective_samples_reverse": upper.effective_sample_size,
        "gap": annealing.gap(lower, upper),
        "gap_error": math.hypot(lower.bound_error, upper.bound_error),
    }


def of_images(
    energies: Tensor,
    temperature: float,
    lower: annealing.Estimate,
    upper: annealing.Estimate,
    shape: Sequence[int],
    n_levels: int,
) -> dict[str, float]:
    """Mean log density on the box in nats, with the forward log Z, and bits per dimension with either."""
    level = float(energies.mean()) / temperature
    error = float(energies.std()) / temperature / math.sqrt(len(energies))
    cell = WIDTH / n_levels
    return {
        "nats": -level - lower.log_z,
        "nats_error": math.hypot(error, lower.standard_error),
        "bits_per_dimension": bits(-level - lower.log_z, shape, cell),
        "bits_per_dimension_reverse": bits(-level - upper.log_z, shape, cell),
    }


def along(
    path: Path, lower: annealing.Estimate, upper: annealing.Estimate
) -> tuple[list[float], list[float], list[float]]:
    """Inverse temperatures of the path, from 0, and log Z of each from below and from above: means of the log weights.

    Forward, those gathered up to there count; in reverse, those that are gathered from there on.
    """
    volume = float(path.base.energy(lower.position[:1]))
    forward, reverse = lower.path.mean(1), (upper.log_weights - upper.path).mean(1).flip(0)
    base_shares = [(1 - beta) * volume for beta in path.betas]  # what the base's share takes from log Z of a bridge
    below, above = (
        [float(mean) + share for mean, share in zip(side, base_shares, strict=True)] for side in (forward, reverse)
    )
    return [beta / path.temperature for beta in path.betas], below, above


def dequantised(split: datasets.Split, n_levels: int, generator: Generator) -> Tensor:
    """The first images, each pixel anywhere in the cell of its level: (n, channels, height, width) on the box."""
    return dequantise(ranks(split.floats()[:IMAGES], n_levels), n_levels, generator) * WIDTH + BOUNDS[0]


def _hmc(energy: Energy, step_size: float) -> Kernel:
    """Lengths are spread widely: where a trajectory is half a period of a well, it comes back to the energy it had."""
    return hmc.build(energy, min(step_size, 1.0), LEAPFROG_STEPS, jitter=0.6, bounds=BOUNDS)  # 1: half of the box


def _full_precision(network: nn.Module) -> nn.Module:
    """The same network without mixed precision, whose errors a cold temperature would magnify."""
    network = copy.deepcopy(network).requires_grad_(False).eval()
    if isinstance(network, EnergyResNet):
        network.precision = "float32"
    return network


def _energies(energy: Energy, images: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([energy(batch) for batch in torch.split(images, BATCH)]).double()


def _curve(
    step: int,
    inverse: Sequence[float],
    log_z: dict[str, list[float]],
    energy: float,
    shape: Sequence[int],
    n_levels: int,
) -> Curve:
    """Bits per dimension of images of this mean energy at each temperature."""
    cell, uniform = WIDTH / n_levels, math.log2(n_levels)
    lines = {
        name: [bits(-beta * energy - value, shape, cell) for beta, value in zip(inverse, side, strict=True)]
        for name, side in log_z.items()
    }
    visible = {
        name: [value if 0 <= value <= SHOWN * uniform else math.nan for value in line] for name, line in lines.items()
    }
    x, label = [math.log10(beta) for beta in inverse], "log10 of the inverse temperature 1/T"
    visible["uniform"] = [uniform] * len(inverse)
    return Curve(step, "likelihood/temperature", x, visible, label, "bits per dimension")
