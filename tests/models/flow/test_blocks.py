"""Every block: its log-determinant is that of its Jacobian, its inverse gives back what went in, its masks hold."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from models.flow.block import Block, Chain
from models.flow.config import Config
from models.flow.couplings import ChannelCoupling, CheckerboardCoupling, log_scale_of
from models.flow.mixing import ActNorm, Convolution1x1, Permutation
from models.flow.rearrangements import Centre, Logit, Squeeze
from models.parts.training.optimisation import seeded_init
from tests.models.flow.small import disturbed, pixels

SHAPE = (4, 4, 4)
NARROW = Config(width=6)
BLOCKS: dict[str, Callable[[], Block]] = {
    "centre": Centre,
    "logit": lambda: Logit(0.05),
    "squeeze": Squeeze,
    "actnorm": lambda: ActNorm(4),
    "permutation": lambda: Permutation(torch.tensor([2, 0, 3, 1])),
    "convolution": lambda: Convolution1x1(4),
    "channels": lambda: ChannelCoupling(NARROW, 4),
    "channels, swapped": lambda: ChannelCoupling(NARROW, 4, swapped=True),
    "channels, additive": lambda: ChannelCoupling(Config(width=6, coupling="additive"), 4),
    "channels, sigmoid": lambda: ChannelCoupling(Config(width=6, scale="sigmoid"), 4),
    "channels, exp": lambda: ChannelCoupling(Config(width=6, scale="exp"), 4),
    "checkerboard": lambda: CheckerboardCoupling(NARROW, 4),
    "checkerboard, swapped": lambda: CheckerboardCoupling(NARROW, 4, swapped=True),
    "chain": lambda: Chain([ActNorm(4), Convolution1x1(4), ChannelCoupling(NARROW, 4)]),
}


def made(name: str) -> Block:
    with seeded_init(0):
        block = BLOCKS[name]()
    disturbed(block)
    return block


@pytest.mark.parametrize("name", BLOCKS)
def test_the_log_determinant_is_that_of_the_jacobian(name: str) -> None:
    block, x = made(name), pixels(2, SHAPE)
    _, log_determinant = block(x)
    for image, value in zip(x, log_determinant, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda pixel: block(pixel[None])[0].flatten(), image)
        assert torch.linalg.slogdet(jacobian.view(64, 64)).logabsdet.item() == pytest.approx(value.item(), abs=1e-9)


@pytest.mark.parametrize("name", BLOCKS)
def test_the_inverse_gives_back_what_went_in(name: str) -> None:
    block, x = made(name), pixels(5, SHAPE)
    z, _ = block(x)
    torch.testing.assert_close(block.inverse(z), x, rtol=0, atol=1e-9)
    other, _ = block(block.inverse(z))
    torch.testing.assert_close(other, z, rtol=0, atol=1e-9)


@pytest.mark.parametrize("swapped", [False, True])
def test_half_of_the_fields_of_a_checkerboard_stay_and_do_not_hear_of_the_others(swapped: bool) -> None:
    block, x = made("checkerboard, swapped" if swapped else "checkerboard"), pixels(1, SHAPE)
    colour = (torch.arange(4)[:, None] + torch.arange(4)) % 2 == 1
    stays = ~colour if swapped else colour
    z, _ = block(x)
    assert torch.equal(z[..., stays], x[..., stays]) and (z[..., ~stays] != x[..., ~stays]).all()
    jacobian = torch.autograd.functional.jacobian(lambda pixel: block(pixel)[0], x)[0, :, :, :, 0]
    among = jacobian[:, ~stays][..., ~stays]
    diagonal = torch.eye(4)[:, None, :, None] * torch.eye(8)[None, :, None, :]
    assert (among[diagonal == 0] == 0).all(), "a transformed pixel hears of itself and of those that stay"
    assert (jacobian[:, ~stays][..., stays] != 0).any()


@pytest.mark.parametrize("swapped", [False, True])
def test_half_of_the_channels_stay(swapped: bool) -> None:
    block, x = made("channels, swapped" if swapped else "channels"), pixels(1, SHAPE)
    z, _ = block(x)
    stays, moves = (slice(2, 4), slice(0, 2)) if swapped else (slice(0, 2), slice(2, 4))
    assert torch.equal(z[:, stays], x[:, stays]) and (z[:, moves] != x[:, moves]).all()


def test_scales_are_bounded_as_the_settings_say() -> None:
    raw = torch.tensor([-1e6, 0.0, 1e6])
    assert log_scale_of(Config(bound=3.0))(raw).tolist() == [-3, 0, 3]
    assert log_scale_of(Config(scale="exp"))(raw).tolist() == raw.tolist()
    sigmoid = log_scale_of(Config(scale="sigmoid"))(raw).exp().tolist()
    assert sigmoid == pytest.approx([0, 1 / (1 + math.exp(-2)), 1])


def test_scales_and_shifts_begin_with_the_first_images_and_with_no_others() -> None:
    block, images = ActNorm(4).double(), 3 * pixels(50, SHAPE) + torch.arange(4.0)[:, None, None]
    z = block.initialise(images)
    assert z.mean((0, 2, 3)).tolist() == pytest.approx([0] * 4, abs=1e-12)
    assert z.square().mean((0, 2, 3)).tolist() == pytest.approx([1] * 4)
    before = {name: value.clone() for name, value in block.state_dict().items()}
    block.initialise(7 * images)
    assert all(torch.equal(value, before[name]) for name, value in block.state_dict().items())


def test_a_loaded_block_does_not_begin_again() -> None:
    """That it was initialised is part of the state: drawing first, or training on, changes nothing."""
    trained = made("actnorm")
    trained.initialise(pixels(9, SHAPE))
    loaded = ActNorm(4).double()
    loaded.load_state_dict(trained.state_dict())
    drawn: Tensor = loaded.inverse(pixels(3, SHAPE))
    loaded.initialise(5 * pixels(9, SHAPE))
    assert torch.equal(drawn, loaded.inverse(pixels(3, SHAPE)))
    assert all(torch.equal(value, trained.state_dict()[name]) for name, value in loaded.state_dict().items())


def test_a_constant_channel_begins_with_a_finite_scale() -> None:
    block = ActNorm(4)
    assert block.initialise(torch.zeros(8, *SHAPE)).isfinite().all() and block.log_scale.isfinite().all()


def test_a_1x1_convolution_begins_as_a_rotation() -> None:
    with seeded_init(3):
        block = Convolution1x1(6)
    x = torch.randn(2, 6, 3, 3)
    z, log_determinant = block(x)
    assert log_determinant.tolist() == pytest.approx([0, 0], abs=1e-4)
    torch.testing.assert_close(z.norm(dim=1), x.norm(dim=1))
