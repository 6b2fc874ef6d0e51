"""Bounded layers and the fixed point that they allow: operator norms against dense matrices, slopes, inverses."""

import pytest
import torch
from torch import Tensor, nn

from models.flow.residual import fixed_point, lipschitz
from models.flow.residual.activation import LipSwish
from models.flow.residual.lipschitz import Bound, LipschitzConvolution, LipschitzLayer, LipschitzLinear

BOUND = Bound(0.9)
LAYERS = {
    "3×3": lambda: LipschitzConvolution(2, 3, 3, (4, 5), BOUND),
    "1×1": lambda: LipschitzConvolution(3, 2, 1, (4, 4), BOUND),
    "linear": lambda: LipschitzLinear(7, 5, BOUND),
}


def made(name: str) -> LipschitzLayer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LAYERS[name]()


def dense(layer: LipschitzLayer, weight: Tensor) -> Tensor:
    """The linear map as a matrix, a column for each number of an input."""
    inputs = layer.right.shape[1:]
    basis = torch.eye(inputs.numel()).view(-1, *inputs)
    return layer.product(weight, basis).flatten(1).T.detach()


@pytest.mark.parametrize("name", LAYERS)
def test_the_norm_is_the_largest_singular_value_of_the_dense_matrix(name: str) -> None:
    layer = made(name)
    layer.weight.data *= 3
    layer.iterate(40)
    matrix = dense(layer, layer.weight)
    assert layer.norm().item() == pytest.approx(float(torch.linalg.matrix_norm(matrix, 2)), rel=1e-3)
    in_use = dense(layer, layer.bounded())
    assert layer.measured_norm() == pytest.approx(float(torch.linalg.matrix_norm(in_use, 2)), rel=1e-3)
    assert layer.measured_norm() == pytest.approx(0.9, rel=1e-3)


@pytest.mark.parametrize("name", LAYERS)
def test_the_transpose_is_that_of_the_dense_matrix(name: str) -> None:
    layer = made(name)
    outputs = layer.left.shape[1:]
    basis = torch.eye(outputs.numel()).view(-1, *outputs)
    transposed = layer.transposed(layer.weight, basis).flatten(1).T
    torch.testing.assert_close(transposed, dense(layer, layer.weight).T)


def test_the_kernel_as_a_matrix_has_a_norm_that_is_too_small() -> None:
    """Why a convolution's norm is taken at the size of its map: for a kernel of ones by a factor of nearly 3."""
    layer = LipschitzConvolution(1, 1, 3, (8, 8), BOUND)
    layer.weight.data = torch.ones(1, 1, 3, 3)
    layer.iterate(40)
    kernel = float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2))
    assert kernel == pytest.approx(3.0)
    assert 8 < layer.norm().item() < 9


@pytest.mark.parametrize("name", LAYERS)
def test_a_small_weight_is_left_as_it_is(name: str) -> None:
    layer = made(name)
    layer.weight.data *= 0.1
    layer.iterate(40)
    assert torch.equal(layer.bounded(), layer.weight)


def test_the_iteration_goes_on_from_the_state() -> None:
    first, second = made("3×3"), made("3×3")
    first.weight.data = 1.3 * first.weight.data.flip(0)
    second.load_state_dict(first.state_dict())
    for layer in (first, second):
        layer.iterate(1)
    assert torch.equal(first.left, second.left) and torch.equal(first.right, second.right)
    before = {name: value.clone() for name, value in first.state_dict().items()}
    first.measured_norm(), first(torch.randn(2, 2, 4, 5))
    assert all(torch.equal(value, before[name]) for name, value in first.state_dict().items()), (
        "looking changes nothing"
    )


def test_the_gradient_of_a_bounded_weight_is_that_of_the_scaled_weight() -> None:
    layer = made("linear")
    layer.weight.data *= 3
    layer.iterate(40)
    direction = torch.randn(layer.weight.shape, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad((layer.bounded() * direction).sum(), layer.weight)
    weight = layer.weight.detach().double().requires_grad_()
    scaled = 0.9 * weight / torch.linalg.matrix_norm(weight, 2)
    (expected,) = torch.autograd.grad((scaled * direction).sum(), weight)
    torch.testing.assert_close(gradient.double(), expected, rtol=1e-3, atol=1e-4)


def test_no_slope_of_the_activation_is_above_1_and_it_nearly_reaches_it() -> None:
    activation, x = LipSwish(), torch.linspace(-20, 20, 4_001, requires_grad=True)
    for raw_beta in (-3.0, 0.5, 5.0):
        activation.raw_beta.data.fill_(raw_beta)
        (slope,) = torch.autograd.grad(activation(x).sum(), x)
        assert float(slope.abs().max()) <= 1
    assert float(slope.abs().max()) > 0.99


def test_a_fixed_point_inverts_a_contraction_and_says_how_well() -> None:
    torch.manual_seed(0)
    g = nn.Sequential(LipschitzLinear(6, 16, BOUND), LipSwish(), LipschitzLinear(16, 6, BOUND))
    x = torch.randn(5, 6, 1, 1)
    inverse = fixed_point.invert(g, (x + g(x)).detach())
    torch.testing.assert_close(inverse.x, x, rtol=1e-4, atol=1e-5)
    assert inverse.error <= 1e-5 and 2 <= inverse.evaluations < fixed_point.LIMIT


def test_the_fixed_point_of_a_linear_map_takes_the_steps_that_its_norm_says() -> None:
    inverse = fixed_point.invert(lambda x: 0.5 * x, torch.ones(1, dtype=torch.float64))
    assert float(inverse.x) == pytest.approx(2 / 3, abs=1e-6)
    assert inverse.evaluations == pytest.approx(20, abs=2), "the error halves: 2⁻²⁰ is 1e-6"
    cut = fixed_point.invert(lambda x: 0.5 * x, torch.ones(1, dtype=torch.float64), limit=3)
    assert cut.evaluations == 3 and cut.error == pytest.approx(0.125), "x was 1, ½, ¾: the error of ¾ is ⅛"


def test_what_is_no_contraction_leaves_an_error() -> None:
    inverse = fixed_point.invert(lambda x: -1.5 * x, torch.ones(2))
    assert inverse.error > 1 and inverse.evaluations == fixed_point.LIMIT


def test_the_largest_norm_is_over_all_layers_of_a_network() -> None:
    network = nn.Sequential(made("linear"), nn.ReLU(), made("3×3"))
    expected = max(layer.measured_norm() for layer in lipschitz.layers(network))
    assert lipschitz.largest_norm(network) == expected and lipschitz.largest_norm(nn.ReLU()) == 0
