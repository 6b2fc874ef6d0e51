"""Networks that several families build on."""

import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from models.parts.settings import Precision

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
    digest = hashlib.sha256()
    for name, weight in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.cpu().contiguous().numpy())
    return digest.hexdigest()[:16]


def mixed(precision: Precision, x: Tensor) -> torch.autocast:
    """In which convolutions compute in bfloat16; with auto on CUDA, and on processors that multiply in it."""
    enabled = precision == "bfloat16" or (precision == "auto" and (x.is_cuda or _multiplies_bfloat16()))
    return torch.autocast(x.device.type, torch.bfloat16, enabled=enabled)


@cache
def _multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for it; without them it is slower than float32."""
    able: dict[str, bool] = dict(getattr(torch.cpu, "get_capabilities", dict)())  # older torch does not say
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def n_weights(network: nn.Module) -> int:
    """How many numbers are learned."""
    return sum(weight.numel() for weight in network.parameters())


def convolution(channels_in: int, channels_out: int, kernel: int, spectral: bool) -> nn.Module:
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
            act(),
            convolution(channels_in, channels_out, 3, spectral),
            act(),
            convolution(channels_out, channels_out, 3, spectral),
        )
        self.skip = (
            nn.Identity() if channels_in == channels_out else convolution(channels_in, channels_out, 1, spectral)
        )
        self.pool = nn.AvgPool2d(2) if down else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.pool(self.skip(x) + self.body(x))
        return y
