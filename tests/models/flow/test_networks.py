"""Whole flows: log-determinants by Jacobian, mass by quadrature, closed forms, and the order of their noise."""

import math
from typing import Any

import pytest
import torch

from models.flow.bits import scores
from models.flow.config import Config
from models.flow.drawing import drawn
from models.flow.networks import Flow, network, noise_shapes
from models.flow.prior import standard_log_density
from models.parts.training.optimisation import seeded_init
from tests.models.flow.small import SHAPE, flow, pixels

MIXINGS = ("convolution", "shuffle", "reverse", "checkerboard")


def noise_of(made: Flow, x: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
    return torch.cat([part.flatten(1) for part in made.encode(x, labels).noise], 1)


@pytest.mark.parametrize("mixing", MIXINGS)
@pytest.mark.parametrize("changes", [{}, {"logit": 0.01}, {"labels": True, "classes": 3}])
def test_the_log_determinant_is_that_of_the_jacobian(mixing: str, changes: dict[str, Any]) -> None:
    made, x = flow(mixing=mixing, **changes), pixels(1)
    labels = torch.tensor([2]) if made.top.classes else None
    jacobian = torch.autograd.functional.jacobian(lambda x: noise_of(made, x, labels)[0], x).view(64, 64)
    noise, log_determinant = made.encode(x, labels)
    assert torch.linalg.slogdet(jacobian).logabsdet.item() == pytest.approx(log_determinant.item(), abs=1e-8)
    density = log_determinant + sum(standard_log_density(part) for part in noise)
    torch.testing.assert_close(made.log_density(x, labels), density)


@pytest.mark.parametrize("mixing", MIXINGS)
@pytest.mark.parametrize(("shape", "scales"), [((1, 8, 8), 1), ((1, 8, 8), 3), ((3, 12, 4), 2)])
def test_images_come_back_from_their_noise(mixing: str, shape: tuple[int, int, int], scales: int) -> None:
    made, x = flow(shape, mixing=mixing, scales=scales, steps=1), pixels(3, shape)
    noise = made.encode(x).noise
    assert [part.shape[1:] for part in noise] == noise_shapes(Config(mixing=mixing, scales=scales), shape)  # type: ignore[arg-type]
    torch.testing.assert_close(made.decode(noise), x, rtol=0, atol=1e-8)


def test_noise_of_the_shape_of_images_is_noise_of_all_scales() -> None:
    made = flow()
    noise = torch.randn(3, *SHAPE, dtype=torch.float64)
    parts = made.split_noise(noise)
    assert torch.equal(torch.cat([part.flatten(1) for part in parts], 1), noise.flatten(1))
    torch.testing.assert_close(noise_of(made, made.decode(parts)), noise.flatten(1))


def test_the_density_of_two_pixels_has_mass_one() -> None:
    """By the midpoint rule over the square; checkerboards need no squeeze, so an image may have two pixels."""
    made = flow((1, 1, 2), mixing="checkerboard", scales=1, logit=0.05, steps=3)
    centres = (torch.arange(200, dtype=torch.float64) + 0.5) / 200
    reach = torch.linspace(-12, 12, 481, dtype=torch.float64)  # of the logits, which leave the square on both sides
    logits = torch.cartesian_prod(reach, reach).view(-1, 1, 1, 2)
    x = made.edge.inverse(logits)
    _, change = made.edge(x)
    inner = (made.log_density(x) - change).exp().sum() * (reach[1] - reach[0]) ** 2
    assert inner.item() == pytest.approx(1, abs=1e-3)
    square = torch.cartesian_prod(centres, centres).view(-1, 1, 1, 2)
    within = made.log_density(square).exp().mean()
    assert 0 < within < 1, "α leaves some mass outside of the square"


def test_classes_are_mixed_where_none_is_given() -> None:
    made, x = flow(labels=True, classes=3), pixels(4)
    of_classes = torch.stack([made.log_density(x, torch.full((4,), label)) for label in range(3)])
    torch.testing.assert_close(made.log_density(x), of_classes.exp().mean(0).log())
    torch.testing.assert_close(made.log_densities(x), of_classes.T)


@pytest.mark.parametrize("scale", ["tanh", "sigmoid"])
def test_a_flow_at_its_beginning_is_a_linear_map_with_known_bits(scale: str) -> None:
    """Rotations, orders and constant scales: a Gaussian around ½, whose bits are a formula."""
    with seeded_init(0):
        made = network(Config(width=6, steps=3, scale=scale), SHAPE).double()  # type: ignore[arg-type]
    x = pixels(6)
    # With sigmoid each of three steps shrinks half of what is at its scale by σ(2): 32 and 16 of 64 numbers.
    total = 3 * (32 + 16) * math.log(1 / (1 + math.exp(-2))) if scale == "sigmoid" else 0.0
    _, log_determinant = made.encode(x)
    assert log_determinant.tolist() == pytest.approx([total] * 6, abs=1e-5)
    if scale == "tanh":
        torch.testing.assert_close(made.log_density(x), standard_log_density(x - 0.5), rtol=0, atol=1e-5)
    a, b = noise_of(made, x[:1]), noise_of(made, x[1:2])
    middle = noise_of(made, (x[:1] + x[1:2]) / 2)
    torch.testing.assert_close(middle, (a + b) / 2, rtol=0, atol=1e-9)


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_pixels_that_are_equally_likely_have_the_bits_of_their_levels(levels: int) -> None:
    """A flow that is uniform on [0, 1): log₂ L, whatever the scale of the pixels as they are stored."""
    made = flow(scales=1, levels=levels)
    made.log_density = lambda x, labels=None, generator=None: torch.zeros(len(x))  # type: ignore[method-assign,assignment,misc]
    images = torch.randint(levels, (8, *SHAPE)) / (levels - 1) * 2 - 1
    values = scores(made, images, torch.Generator().manual_seed(0))
    assert values["likelihood/bits_per_dimension"] == pytest.approx(math.log2(levels))
    assert values["likelihood/bits_per_dimension_importance"] == pytest.approx(math.log2(levels))


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_every_level_comes_back_from_anywhere_in_its_cell(levels: int) -> None:
    made = flow(levels=levels)
    ranks = (torch.arange(64) % levels).view(1, 1, 8, 8)
    for place in (0.0, 0.5, 0.99):
        torch.testing.assert_close(made.images((ranks + place) / levels), ranks / (levels - 1) * 2 - 1)
    outside = made.images(torch.tensor([-3.0, 1.0, 40.0]))
    assert outside.tolist() == [-1, 1, 1]


def test_a_temperature_scales_the_noise_of_its_scales() -> None:
    made = flow(scales=3)
    noise = torch.randn(5, *SHAPE, dtype=torch.float64)
    drawn_noise = made.encode(drawn(made, noise, 0.5, fine=0.25)).noise
    *leaving, top = made.split_noise(noise)
    for part, expected in zip(drawn_noise, [*(0.25 * part for part in leaving), 0.5 * top], strict=True):
        torch.testing.assert_close(part, expected)
    assert torch.equal(drawn(made, noise, 0.5, fine=0.5), drawn(made, noise, 0.5))
