"""How the networks begin."""

import pytest
import torch
from torch import nn

from models.gan.config import Config
from models.gan.networks import Critic, network

SHAPE = (1, 16, 16)


def deviations(net: nn.Module) -> dict[str, float]:
    return {
        name: layer.weight.std().item()
        for name, layer in net.named_modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and layer.weight.numel() > 500
    }


def test_weights_begin_as_dcgans_where_batches_are_normalised() -> None:
    """Normal, with a deviation of 0.02: the generator's, and the critic's convolutions."""
    torch.manual_seed(0)
    config = Config(width=16, critic_norm="batch", zero_penalty=0)
    for net in (network(config, SHAPE), Critic(config, SHAPE)):
        found = deviations(net)
        convolutions = {name: value for name, value in found.items() if isinstance(net.get_submodule(name), nn.Conv2d)}
        wanted = found if net.__class__.__name__ == "Generator" else convolutions
        assert wanted and all(value == pytest.approx(0.02, rel=0.15) for value in wanted.values()), found


def test_weights_keep_values_of_one_size_where_nothing_is_normalised() -> None:
    torch.manual_seed(0)
    critic = Critic(Config(width=16, critic_norm="none"), SHAPE)
    for name, value in deviations(critic).items():
        layer = critic.get_submodule(name)
        if isinstance(layer, nn.Conv2d):
            fan_in = layer.weight[0].numel()
            assert value == pytest.approx((2 / (1 + 0.2**2) / fan_in) ** 0.5, rel=0.15), name
