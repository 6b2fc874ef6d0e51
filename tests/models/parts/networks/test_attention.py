"""Attention that is written out, held to torch's own and to its definition."""

import pytest
import torch
import torch.nn.functional as F

from models.parts.networks.attention import MultiHeadAttention, attend, attention_weights


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("causal", [False, True])
def test_it_is_scaled_dot_product_attention(causal: bool) -> None:
    queries, keys, values = (numbers(2, 3, 7, 5, seed=seed) for seed in range(3))
    expected = F.scaled_dot_product_attention(queries, keys, values, is_causal=causal)
    torch.testing.assert_close(attend(queries, keys, values, causal), expected)


def test_the_last_places_alone_see_what_they_saw_among_all() -> None:
    """As with a cache, where only the newest place asks."""
    queries, keys, values = (numbers(2, 7, 5, seed=seed) for seed in range(3))
    whole = attend(queries, keys, values, causal=True)
    torch.testing.assert_close(attend(queries[:, 4:], keys, values, causal=True), whole[:, 4:])


def test_weights_add_up_to_one_and_none_falls_on_later_places() -> None:
    weights = attention_weights(numbers(1, 6, 4), numbers(1, 6, 4, seed=1), causal=True)
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 6, dtype=torch.float64))
    assert float(weights.triu(1).abs().max()) == 0


@pytest.mark.parametrize("causal", [False, True])
def test_the_fused_kernel_gives_what_is_written_out(causal: bool) -> None:
    torch.manual_seed(0)
    attention = MultiHeadAttention(12, 3, causal).double()
    x = numbers(2, 9, 12)
    fast = attention(x)
    attention.fast = False
    torch.testing.assert_close(attention(x), fast)


def test_without_a_mask_the_order_of_places_does_not_matter() -> None:
    torch.manual_seed(0)
    attention, x = MultiHeadAttention(8, 2, causal=False).double(), numbers(1, 6, 8)
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    torch.testing.assert_close(attention(x[:, order]), attention(x)[:, order])


def test_heads_divide_the_width() -> None:
    with pytest.raises(ValueError, match="width=10 does not divide into heads=4; choose a multiple"):
        MultiHeadAttention(10, 4, causal=True)
