"""Multi-head attention, written out (Vaswani et al. 2017, arXiv:1706.03762)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def attend(queries: Tensor, keys: Tensor, values: Tensor, causal: bool = False) -> Tensor:
    """Σⱼ softmaxⱼ(q·kⱼ / √d) vⱼ for each query: (…, m, d), (…, n, d) and (…, n, d) -> (…, m, d).

    ``causal``: the queries are the last m of n places, and each attends only to places up to its own.
    """
    result: Tensor = attention_weights(queries, keys, causal) @ values
    return result


def attention_weights(queries: Tensor, keys: Tensor, causal: bool = False) -> Tensor:
    """How much each of m queries looks at each of n keys, (…, m, n); each row adds up to 1."""
    scores = queries @ keys.transpose(-1, -2) / math.sqrt(queries.shape[-1])
    if causal:
        m, n = scores.shape[-2:]
        later = torch.ones(m, n, dtype=torch.bool, device=scores.device).triu(n - m + 1)
        scores = scores.masked_fill(later, -torch.inf)
    return scores.softmax(-1)


class MultiHeadAttention(nn.Module):
    """Places (n, length, width) attend to each other in ``heads`` subspaces of width / heads numbers; (n, length, width).

    ``fast`` uses torch's fused kernel, which gives the same numbers up to rounding and needs less memory.
    """

    def __init__(self, width: int, heads: int, causal: bool, fast: bool = True) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width={width} does not divide into heads={heads}; choose a multiple")
        self.heads, self.causal, self.fast = heads, causal, fast
        self.inputs = nn.Linear(width, 3 * width)  # queries, keys, values
        self.output = nn.Linear(width, width)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of places, each (n, heads, length, width / heads)."""
        queries, keys, values = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.inputs(x).chunk(3, -1)
        )
        return queries, keys, values

    def join(self, heads: Tensor) -> Tensor:
        """What heads (n, heads, length, width / heads) say together: (n, length, width)."""
        joined: Tensor = self.output(heads.transpose(1, 2).flatten(2))
        return joined

    def forward(self, x: Tensor) -> Tensor:
        queries, keys, values = self.split(x)
        if self.fast:
            return self.join(F.scaled_dot_product_attention(queries, keys, values, is_causal=self.causal))
        return self.join(attend(queries, keys, values, self.causal))
