"""Linear layers and convolutions whose operator norm is bounded: what makes x + g(x) invertible.

The norm of a convolution is that of the linear map between whole maps, by products with the convolution and its transpose at the
map's own size (Gouk et al. 2021, arXiv:1804.04368; Behrmann et al. 2019, arXiv:1811.00995, section 2.1). The norm of the kernel
as a matrix, which `torch.nn.utils.parametrizations.spectral_norm` takes, may be too small by a factor of the kernel's side.
Training draws many singular values up to the bound, where power iteration lags behind: it keeps one vector. Lanczos iteration
takes the best of all that it computed (Golub and Van Loan 2013, section 10.4).
"""

import math
from abc import abstractmethod
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LONG = 40  # iterations from which a norm is known to about a thousandth


class Bound(NamedTuple):
    """On the operator norm of a layer, and how many iterations for that norm follow an update of its weights."""

    coefficient: float
    iterations: int = 5


class LipschitzLayer(nn.Module):
    """A linear map with a bias; its weights are scaled down where their norm is above that of ``bound``.

    ``left`` and ``right`` are the singular vectors so far. They belong to the state, so a resumed training goes on with them.
    """

    left: Tensor
    right: Tensor

    def __init__(
        self, weight: Tensor, bias: Tensor, inputs: tuple[int, ...], outputs: tuple[int, ...], bound: Bound
    ) -> None:
        super().__init__()
        self.weight, self.bias, self.bound = nn.Parameter(weight), nn.Parameter(bias), bound
        self.register_buffer("left", _unit(torch.randn(1, *outputs)))
        self.register_buffer("right", _unit(torch.randn(1, *inputs)))
        self.iterate(LONG)

    @abstractmethod
    def product(self, weight: Tensor, x: Tensor) -> Tensor:
        """The linear map of inputs (n, *inputs)."""

    @abstractmethod
    def transposed(self, weight: Tensor, y: Tensor) -> Tensor:
        """Its transpose, of outputs (n, *outputs)."""

    def norm(self) -> Tensor:
        """The operator norm of the weights by the vectors so far, from below; differentiable in the weights."""
        return (self.left * self.product(self.weight, self.right)).sum()

    def bounded(self) -> Tensor:
        """The weights, scaled so that their norm is at most that of ``bound``."""
        return self.weight * (self.bound.coefficient / self.norm().clamp_min(self.bound.coefficient))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.product(self.bounded(), x) + self.bias[:, None, None]
        return y

    @torch.no_grad()
    def iterate(self, iterations: int) -> None:
        """Lanczos iteration on the weights as they are now, from the vectors so far."""
        left, right, _ = self._iterated(self.weight, self.right, iterations)
        self.left.copy_(left)
        self.right.copy_(right)

    @torch.no_grad()
    def measured_norm(self) -> float:
        """The norm of the weights in use, from a new start and from the vectors so far. Changes nothing."""
        weight, generator = self.bounded(), torch.Generator().manual_seed(0)
        start = torch.randn(self.right.shape, generator=generator).to(self.right)
        return max(self._iterated(weight, right, LONG)[2] for right in (self.right, _unit(start)))

    def _iterated(self, weight: Tensor, right: Tensor, iterations: int) -> tuple[Tensor, Tensor, float]:
        """Both singular vectors and the norm, as the best in the space of v, WᵀWv, (WᵀW)²v … from v = ``right``."""
        basis = right.flatten(1)
        for _ in range(iterations):
            new = self.transposed(weight, self.product(weight, basis[-1:].view_as(right))).flatten(1)
            for _ in range(2):  # once more, for what rounding left
                new = new - new @ basis.T @ basis
            basis = torch.cat([basis, _unit(new)])
        basis = torch.linalg.qr(basis.T).Q.T  # vectors that rounding alone made may be in no order
        images = self.product(weight, basis.reshape(-1, *right.shape[1:])).flatten(1)
        left, norms, mixtures = torch.linalg.svd(images.T, full_matrices=False)
        return left[:, 0].reshape(self.left.shape), (mixtures[0] @ basis).view_as(right), float(norms[0])


class LipschitzLinear(LipschitzLayer):
    """A bounded linear map of maps with one place: (n, inputs, 1, 1) -> (n, outputs, 1, 1)."""

    def __init__(self, inputs: int, outputs: int, bound: Bound) -> None:
        weight = torch.randn(outputs, inputs) / math.sqrt(inputs)
        super().__init__(weight, torch.zeros(outputs), (inputs, 1, 1), (outputs, 1, 1), bound)

    def product(self, weight: Tensor, x: Tensor) -> Tensor:
        return F.linear(x.flatten(1), weight)[..., None, None]

    def transposed(self, weight: Tensor, y: Tensor) -> Tensor:
        return F.linear(y.flatten(1), weight.T)[..., None, None]


class LipschitzConvolution(LipschitzLayer):
    """A bounded convolution of maps of ``size``, with an odd kernel and zeros around the map."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, size: tuple[int, int], bound: Bound) -> None:
        weight = torch.randn(channels_out, channels_in, kernel, kernel) / math.sqrt(channels_in * kernel**2)
        self.padding = kernel // 2
        super().__init__(weight, torch.zeros(channels_out), (channels_in, *size), (channels_out, *size), bound)

    def product(self, weight: Tensor, x: Tensor) -> Tensor:
        return F.conv2d(x, weight, padding=self.padding)

    def transposed(self, weight: Tensor, y: Tensor) -> Tensor:
        return F.conv_transpose2d(y, weight, padding=self.padding)


def layers(network: nn.Module) -> list[LipschitzLayer]:
    """All bounded layers of a network."""
    return [module for module in network.modules() if isinstance(module, LipschitzLayer)]


def iterate(network: nn.Module, iterations: int | None = None) -> None:
    """The norms of all bounded layers of a network, by as many iterations as each says: after each update of its weights."""
    for layer in layers(network):
        layer.iterate(iterations or layer.bound.iterations)


def largest_norm(network: nn.Module) -> float:
    """The largest measured norm of the bounded layers; 0 where there are none."""
    return max((layer.measured_norm() for layer in layers(network)), default=0.0)


def _unit(vector: Tensor) -> Tensor:
    unit: Tensor = vector / vector.norm().clamp_min(torch.finfo(vector.dtype).tiny)
    return unit
