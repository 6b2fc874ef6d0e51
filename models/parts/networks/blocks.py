"""Networks that several families build on."""

import hashlib
import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

Activation = Literal["silu", "leaky_relu", "elu", "softplus"]
Precision = Literal["float32", "bfloat16", "auto"]
Net = TypeVar("Net", bound=nn.Module)

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "silu": nn.SiLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "elu": nn.ELU,
    "softplus": nn.Softplus,
}


def restored(network: Net, weights: Mapping[str, Tensor], device: str) -> Net:
    """The network with the weights of a finished trial, on the device, for use alone."""
    network.load_state_dict(weights)
    return network.to(device).eval().requires_grad_(False)


def weights_digest(network: nn.Module) -> str:
    """Of its weights: 16 hexadecimal digits."""
    found = hashlib.sha256()
    for name, weight in sorted(network.state_dict().items()):
        found.update(name.encode())
        found.update(weight.cpu().contiguous().numpy())
    return found.hexdigest()[:16]


def mixed(precision: Precision, at: Tensor) -> torch.autocast:
    """In which convolutions compute in bfloat16; with auto on CUDA, and on processors that multiply in it."""
    wanted = precision == "bfloat16" or (precision == "auto" and (at.is_cuda or _multiplies_bfloat16()))
    return torch.autocast(at.device.type, torch.bfloat16, enabled=wanted)


@cache
def _multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for it; without them it is slower than float32."""
    able: dict[str, bool] = dict(getattr(torch.cpu, "get_capabilities", dict)())  # older torch does not say
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def n_weights(network: nn.Module) -> int:
    """How many numbers are learned."""
    return sum(weight.numel() for weight in network.parameters())


def _conv(channels_in: int, channels_out: int, kernel: int, spectral: bool) -> nn.Module:
    layer = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2)
    return spectral_norm(layer) if spectral else layer


class ResidualBlock(nn.Module):
    """x + conv(act(conv(act(x)))), halved in size by average pooling when ``down``; no normalisation.

    Batch statistics would let one chain's energy depend on its neighbours, so an energy network has none.
    """

    def __init__(self, channels_in: int, channels_out: int, down: bool, activation: str, spectral: bool) -> None:
        super().__init__()
        self.channels = channels_out
        act = ACTIVATIONS[activation]
        self.body = nn.Sequential(
            act(), _conv(channels_in, channels_out, 3, spectral), act(), _conv(channels_out, channels_out, 3, spectral)
        )
        self.skip = nn.Identity() if channels_in == channels_out else _conv(channels_in, channels_out, 1, spectral)
        self.pool = nn.AvgPool2d(2) if down else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.pool(self.skip(x) + self.body(x))
        return y


class EnergyResNet(nn.Module):
    """E(x) for images (n, channels, height, width): one unbounded number each, (n,).

    ``blocks`` residual blocks are spread over the stages between which the image is halved, down to about 4 pixels and
    at most twice; channels double from ``width`` at each halving. The last map is flattened, not pooled: a pooled head
    cannot tell where a stroke is. After Du and Mordatch (2019), whose CIFAR-10 network is 9 blocks deep.

    With ``precision`` bfloat16 (auto: see ``mixed``) all but the last layer computes in mixed precision. Weights, energies
    and their gradient in x are float32 all the same: energies differ by less than bfloat16 tells apart.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        blocks: int,
        width: int,
        activation: Activation = "silu",
        spectral: bool = False,
        precision: Precision = "float32",
        outputs: int = 1,
    ) -> None:
        super().__init__()
        self.precision = precision
        channels, height, wide = shape
        stages = min(blocks, 3, 1 + max(0, int(math.log2(min(height, wide) / 4))))
        layers: list[nn.Module] = [_conv(channels, width, 3, spectral)]
        before = width
        for index in range(blocks):
            stage = index * stages // blocks
            last_of_stage = (index + 1) * stages // blocks > stage
            after = width * 2**stage
            down = last_of_stage and stage < stages - 1
            layers.append(ResidualBlock(before, after, down, activation, spectral))
            before = after
        self.body = nn.Sequential(*layers, ACTIVATIONS[activation]())
        with torch.no_grad():
            features = self.body(torch.zeros(1, *shape)).numel()
        head = nn.Linear(features, outputs)
        self.head = spectral_norm(head) if spectral else head

    def forward(self, x: Tensor) -> Tensor:
        energy: Tensor = self.head(self.features(x)).squeeze(1)
        return energy

    def features(self, x: Tensor, *given: Tensor) -> Tensor:
        """What the last layer sees, (n, features), in float32; ``given`` is passed on to ``walk``."""
        with mixed(self.precision, x):
            return self.walk(x, *given).flatten(1).float()

    def walk(self, x: Tensor, *given: Tensor) -> Tensor:
        """The map behind the last block, (n, channels, height, width)."""
        y: Tensor = self.body(x)
        return y
