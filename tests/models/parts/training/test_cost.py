"""Operations on networks for which they can be counted by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.parts.training.cost import counted


def test_a_product_forward_and_backward() -> None:
    """5 images, 3 numbers to 4: 2·5·3·4 forward, and as many for the weights' gradient; the inputs have none."""
    layer = nn.Linear(3, 4)
    _, forward = counted(lambda: layer(torch.ones(5, 3)))
    assert forward == 2 * 5 * 3 * 4
    _, both = counted(lambda: layer(torch.ones(5, 3)).sum().backward())
    assert both == 2 * forward


def test_counting_changes_no_number() -> None:
    torch.manual_seed(0)
    layer, x = nn.Conv2d(1, 3, 3), torch.randn(2, 1, 8, 8)
    result, flops = counted(lambda: layer(x))
    assert torch.equal(result, layer(x)) and flops == 2 * (2 * 6 * 6) * 3 * 9


def test_without_gradients_and_by_gradients_in_the_inputs() -> None:
    """As samples are drawn, and as chains of an energy move: forward, and back to the inputs through the weights."""
    layer, x = nn.Linear(3, 4), torch.ones(5, 3, requires_grad=True)
    with torch.no_grad():
        assert counted(lambda: layer(x))[1] == 2 * 5 * 3 * 4
    layer.requires_grad_(False)
    assert counted(lambda: torch.autograd.grad(layer(x).sum(), x))[1] == 2 * (2 * 5 * 3 * 4)


@pytest.mark.parametrize("causal", [False, True])
def test_fused_attention_counts_its_products(causal: bool) -> None:
    q = torch.ones(2, 3, 7, 5)
    _, flops = counted(lambda: F.scaled_dot_product_attention(q, q, q, is_causal=causal))
    assert flops == 2 * (2 * 2 * 3 * 7 * 7 * 5)
