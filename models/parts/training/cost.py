"""What something computes: its floating-point operations, counted and not timed, so the same on every machine."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

T = TypeVar("T")
# Of the processor's fused attention, which torch's registry lacks: how many shapes the count needs, and the count.
FUSED_ATTENTION: Mapping[Any, tuple[int, Callable[..., int]]] = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: (3, sdpa_flop_count),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: (4, sdpa_backward_flop_count),
}


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """torch's own FlopCounterMode also follows modules, and cannot follow them through `torch.autograd.grad`."""

    flops = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        packet = func.overloadpacket
        if packet in FUSED_ATTENTION:
            n_shapes, count = FUSED_ATTENTION[packet]
            self.flops += int(count(*(tensor.shape for tensor in args[:n_shapes])))
        elif packet in flop_registry:
            self.flops += int(flop_registry[packet](*args, **(kwargs or {}), out_val=result))
        return result


def counted(action: Callable[[], T]) -> tuple[T, int]:
    """The result of ``action``, and the operations of its products and convolutions, forward and backward.

    A multiplication with its addition counts as two. Operations on single elements are not counted.
    """
    with _Counter() as counter:  # type: ignore[no-untyped-call]
        result = action()
    return result, counter.flops
