"""Blocks beside independent implementations of the same maps: extra ``reference``, skipped without it.

Given the same weights, an image becomes the same noise with the same log-determinant, and comes back.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from models.flow.config import Config
from models.flow.couplings import ChannelCoupling, CheckerboardCoupling
from models.flow.mixing import Convolution1x1
from models.flow.rearrangements import Squeeze
from tests.models.flow.small import disturbed

REASON = "pip install -e '.[reference]' brings the libraries to compare with"
CHANNELS, SIDE = 4, 6
PIXELS = torch.rand(5, CHANNELS, SIDE, SIDE, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
GREY = PIXELS[:, :1]


@pytest.fixture
def normflows() -> Any:
    return pytest.importorskip("normflows.flows", reason=REASON)


@pytest.fixture
def zuko() -> Any:
    return pytest.importorskip("zuko.transforms", reason=REASON)


def same(ours: tuple[Tensor, Tensor], theirs: tuple[Tensor, Tensor]) -> None:
    torch.testing.assert_close(ours[0], theirs[0])
    torch.testing.assert_close(ours[1], theirs[1].expand(len(ours[1])))


@pytest.fixture
def mixture() -> Convolution1x1:
    block = disturbed(Convolution1x1(CHANNELS))
    assert isinstance(block, Convolution1x1)
    return block


@pytest.mark.filterwarnings("ignore:torch.lu is deprecated")  # normflows calls it
def test_a_1x1_convolution_by_lu_is_that_of_normflows(normflows: Any, mixture: Convolution1x1) -> None:
    theirs = normflows.Invertible1x1Conv(CHANNELS, use_lu=True).double()
    theirs.P.copy_(mixture.permutation)
    theirs.sign_S.copy_(mixture.signs)
    with torch.no_grad():
        for weight, own in ((theirs.L, mixture.lower), (theirs.U, mixture.upper), (theirs.log_S, mixture.log_diagonal)):
            weight.copy_(own)
        same(mixture(PIXELS), theirs.inverse(PIXELS))  # its inverse is the way from images to noise
        torch.testing.assert_close(mixture.inverse(PIXELS), theirs(PIXELS)[0])


def test_a_1x1_convolution_by_lu_is_that_of_zuko(zuko: Any, mixture: Convolution1x1) -> None:
    """Which has the diagonal in L, and no permutation."""
    mixture.permutation.copy_(torch.eye(CHANNELS))
    lower, upper = mixture._factors()
    diagonal = upper.diagonal()
    theirs = zuko.LULinearTransform((lower * diagonal).tril() + (upper / diagonal[:, None]).triu(1))
    z, each = theirs.call_and_ladj(PIXELS.movedim(1, -1))
    same(mixture(PIXELS), (z.movedim(-1, 1), each.sum((1, 2))))


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(("scale", "name"), [("exp", "exp"), ("sigmoid", "sigmoid_inv")])
def test_a_coupling_of_channels_is_that_of_normflows(normflows: Any, scale: str, name: str, swapped: bool) -> None:
    settings = Config.model_validate({"width": 6, "scale": scale})
    ours = disturbed(ChannelCoupling(settings, CHANNELS, swapped))
    assert isinstance(ours, ChannelCoupling)

    def shifts_and_scales(condition: Tensor) -> Tensor:
        raw, shift = ours.conditioner(condition).chunk(2, 1)
        return torch.stack([shift, raw], 2).flatten(1, 2)  # in turn

    theirs = normflows.AffineCouplingBlock(
        Network(shifts_and_scales), True, name, "channel_inv" if swapped else "channel"
    )
    same(ours(PIXELS), theirs(PIXELS))
    torch.testing.assert_close(ours.inverse(PIXELS), theirs.inverse(PIXELS)[0])


class Network(torch.nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.fixture(params=[False, True])
def checkerboard(request: pytest.FixtureRequest) -> CheckerboardCoupling:
    block = disturbed(CheckerboardCoupling(Config.model_validate({"width": 6}), 1, request.param))
    assert isinstance(block, CheckerboardCoupling)
    return block


def test_the_fields_of_a_checkerboard_are_those_of_normflows(
    normflows: Any, checkerboard: CheckerboardCoupling
) -> None:
    split = normflows.Split("checkerboard_inv" if checkerboard.swapped else "checkerboard")
    (first, second), _ = split(torch.arange(float(SIDE * SIDE)).view(1, 1, SIDE, SIDE))
    mask = checkerboard._mask(GREY).flatten()
    assert first.flatten().tolist() == mask.nonzero().flatten().tolist()
    assert second.flatten().tolist() == (1 - mask).nonzero().flatten().tolist()


def test_a_coupling_of_a_checkerboard_is_the_masked_one_of_normflows(
    normflows: Any, checkerboard: CheckerboardCoupling
) -> None:
    scales = Network(lambda condition: checkerboard.parameters_by(condition)[0])
    shifts = Network(lambda condition: checkerboard.parameters_by(condition)[1])
    theirs = normflows.MaskedAffineFlow(checkerboard._mask(GREY)[None], shifts, scales)
    same(checkerboard(GREY), theirs(GREY))
    torch.testing.assert_close(checkerboard.inverse(GREY), theirs.inverse(GREY)[0])


def test_a_coupling_of_a_checkerboard_is_that_of_zuko(zuko: Any, checkerboard: CheckerboardCoupling) -> None:
    mask = checkerboard._mask(GREY).flatten().bool()

    def transform(stays: Tensor) -> Any:
        x = torch.zeros(len(stays), SIDE * SIDE, dtype=stays.dtype)
        x[:, mask] = stays
        log_scale, shift = (part.flatten(1)[:, ~mask] for part in checkerboard.parameters_by(x.view_as(GREY)))
        return zuko.DependentTransform(torch.distributions.AffineTransform(shift, log_scale.exp()), 1)

    theirs = zuko.CouplingTransform(transform, mask)
    x = GREY.flatten(1)
    z = theirs(x)
    same(checkerboard(GREY), (z.view_as(GREY), theirs.log_abs_det_jacobian(x, z)))
    torch.testing.assert_close(checkerboard.inverse(GREY), theirs.inv(x).view_as(GREY))


def test_a_squeeze_is_that_of_normflows(normflows: Any) -> None:
    theirs = normflows.Squeeze()
    assert torch.equal(Squeeze()(PIXELS)[0], theirs.inverse(PIXELS)[0])
    assert torch.equal(Squeeze().inverse(PIXELS), theirs(PIXELS)[0])
