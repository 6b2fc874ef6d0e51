"""The energy network: shapes, options, and what an energy must be."""

import pytest
import torch
from torch.nn.utils import parametrize

from models.ebm.networks import EnergyResNet
from models.parts.networks import blocks as nets
from models.parts.networks.blocks import ACTIVATIONS
from samplers.kernel import energy_and_gradient


@pytest.mark.parametrize(("shape", "blocks"), [((1, 8, 8), 1), ((1, 8, 8), 2), ((1, 28, 28), 5), ((3, 32, 32), 9)])
def test_one_number_an_image(shape: tuple[int, int, int], blocks: int) -> None:
    energy = EnergyResNet(shape, blocks, 4)(torch.randn(5, *shape))
    assert energy.shape == (5,)


def test_energies_are_unbounded() -> None:
    """Nothing squashes the output: scaling the last layer scales the energy."""
    torch.manual_seed(0)
    net = EnergyResNet((1, 8, 8), 2, 4)
    x = torch.randn(3, 1, 8, 8)
    before = net(x)
    with torch.no_grad():
        for parameter in net.head.parameters():
            parameter.mul_(2.0**13)  # a power of two rounds nothing
    torch.testing.assert_close(net(x), before * 2.0**13)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_an_energy_depends_on_its_own_image_alone(activation: str) -> None:
    net = EnergyResNet((1, 8, 8), 2, 4, activation)  # type: ignore[arg-type]
    x = torch.randn(4, 1, 8, 8)
    torch.testing.assert_close(net(x)[:1], net(x[:1]), rtol=1e-5, atol=1e-6)


def test_the_head_sees_where_a_stroke_is() -> None:
    """A shifted image has another energy: the last map is not pooled away."""
    torch.manual_seed(0)
    net = EnergyResNet((1, 8, 8), 2, 8)
    x = torch.zeros(1, 1, 8, 8)
    x[..., 2:4, 2:4] = 1
    assert (net(x) - net(x.roll(3, -1))).abs().item() > 1e-4


def test_spectral_norm_bounds_every_layer() -> None:
    net = EnergyResNet((1, 8, 8), 2, 4, spectral=True)
    layers = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert layers and all(parametrize.is_parametrized(layer) for layer in layers)
    for _ in range(30):  # power iterations, one a forward pass
        net(torch.randn(2, 1, 8, 8))
    norms = [torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2).item() for layer in layers]
    assert norms == pytest.approx([1.0] * len(norms), rel=0.05)


def test_blocks_are_counted() -> None:
    from models.parts.networks.blocks import ResidualBlock

    for blocks in (1, 4, 9):
        net = EnergyResNet((3, 32, 32), blocks, 4)
        assert sum(isinstance(module, ResidualBlock) for module in net.modules()) == blocks


@pytest.mark.parametrize("spectral", [False, True])
def test_mixed_precision_changes_energies_and_gradients_by_little_and_keeps_them_in_float32(
    spectral: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bfloat16 has 8 bits: each value of a layer is off by up to 0.4 %."""
    torch.manual_seed(0)
    exact = EnergyResNet((3, 16, 16), 3, 8, spectral=spectral).requires_grad_(False).eval()
    mixed = EnergyResNet((3, 16, 16), 3, 8, spectral=spectral, precision="bfloat16").requires_grad_(False).eval()
    mixed.load_state_dict(exact.state_dict())
    automatic = EnergyResNet((3, 16, 16), 3, 8, spectral=spectral, precision="auto").requires_grad_(False).eval()
    automatic.load_state_dict(exact.state_dict())
    x = torch.rand(32, 3, 16, 16) * 2 - 1
    (energy, slope), (rough, rough_slope) = (energy_and_gradient(net, x) for net in (exact, mixed))
    assert rough.dtype == rough_slope.dtype == torch.float32
    assert 0 < (rough - energy).abs().max() < 0.1 * energy.std() + 0.01 * energy.abs().max()
    assert torch.cosine_similarity(rough_slope.flatten(1), slope.flatten(1)).min() > 0.99
    for able, expected in ((False, energy), (True, rough)):
        monkeypatch.setattr(nets, "_multiplies_bfloat16", lambda able=able: able)
        assert torch.equal(automatic(x), expected), "auto is bfloat16 where the processor multiplies in it"
