"""What makes clean clouds noisy: Gaussian noise of any size, and the five noise corruptions of ModelNet40-C.

Sun et al. 2022 (arXiv:2201.12296), with their numbers at severities 1 to 5. They bring most clouds to another place and scale
afterwards; here clouds stay where they are, for distances to the surface would measure that as well.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Generator, Tensor

CORRUPTIONS = ("uniform", "gaussian", "impulse", "upsampling", "background")
SEVERITIES = range(1, 6)
UNIFORM = (0.01, 0.02, 0.03, 0.04, 0.05)  # half-width
GAUSSIAN = (0.01, 0.015, 0.02, 0.025, 0.03)  # σ
IMPULSE, IMPULSE_SIZE = (30, 25, 20, 15, 10), 0.1  # one point in so many is moved by ±0.1 along each axis
UPSAMPLING, UPSAMPLING_SIZE = (5, 4, 3, 2, 1), 0.05  # one point in so many gets another within ±0.05
BACKGROUND = (45, 40, 35, 30, 20)  # for so many points there is another anywhere in the cube


def _uniform(shape: tuple[int, ...], size: float, generator: Generator) -> Tensor:
    return (torch.rand(shape, generator=generator, device=generator.device) * 2 - 1) * size


def _some(n: int, count: int, generator: Generator) -> Tensor:
    return torch.randperm(n, generator=generator, device=generator.device)[:count]


def gaussian(clouds: Tensor, sigma: float, generator: Generator) -> Tensor:
    """Normal noise of deviation ``sigma`` in each coordinate."""
    return clouds + sigma * torch.randn(clouds.shape, generator=generator, device=clouds.device)


def _impulse(cloud: Tensor, severity: int, generator: Generator) -> Tensor:
    places = _some(len(cloud), len(cloud) // IMPULSE[severity - 1], generator)
    signs = torch.randint(2, (len(places), 3), generator=generator, device=cloud.device) * 2 - 1
    return cloud.index_add(0, places, signs * IMPULSE_SIZE)


def _upsampling(cloud: Tensor, severity: int, generator: Generator) -> Tensor:
    copies = cloud[_some(len(cloud), len(cloud) // UPSAMPLING[severity - 1], generator)]
    return torch.cat([cloud, copies + _uniform(copies.shape, UPSAMPLING_SIZE, generator)])


def _background(cloud: Tensor, severity: int, generator: Generator) -> Tensor:
    return torch.cat([cloud, _uniform((len(cloud) // BACKGROUND[severity - 1], 3), 1.0, generator)])


FUNCTIONS: Mapping[str, Callable[[Tensor, int, Generator], Tensor]] = {
    "uniform": lambda cloud, severity, generator: cloud + _uniform(cloud.shape, UNIFORM[severity - 1], generator),
    "gaussian": lambda cloud, severity, generator: gaussian(cloud, GAUSSIAN[severity - 1], generator).clamp(-1, 1),
    "impulse": _impulse,
    "upsampling": _upsampling,
    "background": _background,
}


def corrupted(cloud: Tensor, name: str, severity: int, generator: Generator) -> Tensor:
    """A cloud (points, 3) with corruption ``name`` of severity 1 … 5; upsampling and background add points at the end."""
    return FUNCTIONS[name](cloud, severity, generator)
