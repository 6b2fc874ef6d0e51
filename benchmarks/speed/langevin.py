"""A Langevin step of ours against the same loop written out by hand, and proof that sampling leaves the weights alone.

One thread, as a worker has on a machine with as many workers as cores, and processor time, which other programs disturb
least. Ours and the other loop take turns, and what is told is the median of the ratios of neighbours.
"""

import time
from collections.abc import Callable, Iterator
from statistics import median, quantiles
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks._figure import Figure
from models.ebm import networks
from models.ebm.config import Config
from samplers import langevin, starts
from samplers.kernel import run
from studies.ebm import base

BOUNDS = (-1.0, 1.0)
TARGET = 1.05
SIZES = {8: (300, 10), 28: (60, 1)}  # side of the images: pairs, steps in each half of a pair; short and many

Loop = Callable[[Tensor, int, Generator], Tensor]


class WeightGradients(TorchDispatchMode):
    """Counts convolutions' backward passes inside the block, and those among them that a weight or bias was asked of."""

    def __init__(self) -> None:
        super().__init__()
        self.passes = self.asked = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """See torch."""
        if func is torch.ops.aten.convolution_backward.default:
            _, weight, bias = args[-1]  # output_mask: which of the three gradients are wanted
            self.passes += 1
            self.asked += bool(weight or bias)
        return func(*args, **(kwargs or {}))


def ours(config: Config, net: nn.Module) -> Loop:
    """The kernel that training runs."""
    kernel = langevin.build(net, *config.schedules(config.n_steps), config.grad_clip, BOUNDS)
    return lambda x, n_steps, generator: run(kernel, x, n_steps, generator)[0]


def by_hand(config: Config, net: nn.Module, all_gradients: bool = False) -> Loop:
    """The same written out; with ``all_gradients`` by ``backward()``, as one writes it without a second thought."""
    a, s, clip = config.step_size, config.noise_start, config.grad_clip or torch.inf

    def loop(x: Tensor, n_steps: int, generator: Generator) -> Tensor:
        x = x.clone()
        noise = torch.empty_like(x)
        for _ in range(n_steps):
            x.requires_grad_()
            if all_gradients:
                net(x).sum().backward()
                gradient = x.grad
            else:
                (gradient,) = torch.autograd.grad(net(x).sum(), x)
            assert gradient is not None
            x = x.detach()
            x.add_(gradient.clamp_(-clip, clip), alpha=-a)
            x.add_(noise.normal_(generator=generator), alpha=s)
            x.clamp_(*BOUNDS)
        return x

    return loop


def seconds(loop: Loop, x: Tensor, n_steps: int) -> float:
    """Processor time of a step, in seconds."""
    generator = Generator().manual_seed(0)
    began = time.process_time()
    loop(x, n_steps, generator)
    return (time.process_time() - began) / n_steps


def compare(one: Loop, other: Loop, x: Tensor, pairs: int, n_steps: int) -> tuple[list[float], float]:
    """Quartiles over pairs of time(one) / time(other), and the median time of a step of ``one``."""
    ratios, times = [], []
    for index in range(pairs + 1):
        took = {}
        for loop in (one, other) if index % 2 else (other, one):  # whoever goes first has no advantage
            took[loop] = seconds(loop, x, n_steps)
        if index:  # the first pair warms up
            ratios.append(took[one] / took[other])
            times.append(took[one])
    return quantiles(ratios, n=4), median(times)


def measure(quick: bool = False) -> Iterator[Figure]:
    """For both sizes of images: the ratio, and what weights cost that are not frozen."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for side, (pairs, n_steps) in SIZES.items():
            yield from _measure(side, pairs // 10 if quick else pairs, n_steps)
    finally:
        torch.set_num_threads(before)


def _measure(side: int, pairs: int, n_steps: int) -> Iterator[Figure]:
    config = base((1, side, side))
    torch.manual_seed(0)
    net = networks.network(config, (1, side, side)).requires_grad_(False)
    x = starts.uniform(config.batch_size, (1, side, side), BOUNDS, Generator().manual_seed(0))
    mine, hand = ours(config, net), by_hand(config, net)
    if not torch.equal(mine(x, 5, Generator().manual_seed(1)), hand(x, 5, Generator().manual_seed(1))):
        raise AssertionError("the loop written by hand does something else")

    name = f"Langevin step {side}×{side}, {config.blocks} blocks of {config.width}, {config.batch_size} chains"
    (low, share, high), step = compare(mine, hand, x, pairs, n_steps)
    measured = f"{share:.3f} (quartiles {low:.2f}, {high:.2f}; {step * 1e3:.2f} ms)"
    yield Figure(f"{name}: ours / by hand", measured, f"<= {TARGET}", share <= TARGET)

    with WeightGradients() as seen:
        mine(x, 2, Generator())
    clean = seen.passes > 0 and not seen.asked and all(weight.grad is None for weight in net.parameters())
    yield Figure("  gradients in weights", f"{seen.asked} in {seen.passes} backward passes", "0", clean)

    trained = networks.network(config, (1, side, side))
    trained.load_state_dict(net.state_dict())
    (_, share, _), _ = compare(ours(config, trained), mine, x, pairs // 2, n_steps)
    untouched = all(weight.grad is None for weight in trained.parameters())
    grad = "stays None" if untouched else "is filled"
    yield Figure("  weights that want gradients / frozen", f"{share:.3f}, .grad {grad}", "", untouched)
    (_, share, _), _ = compare(by_hand(config, trained, all_gradients=True), mine, x, pairs // 2, n_steps)
    yield Figure("  by backward(), weights and all / ours", f"{share:.3f}")
