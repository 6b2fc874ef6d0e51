"""What every kernel promises, whatever its algorithm: new samplers join KERNELS."""

from collections.abc import Callable

import pytest
import torch

from samplers import langevin
from samplers.kernel import Energy, Kernel, walk

KERNELS: dict[str, Callable[[Energy], Kernel]] = {
    "langevin": lambda energy: langevin.build(energy, 0.05),
    "langevin, clipped and bounded": lambda energy: langevin.build(energy, 0.05, 0.01, 0.1, (-1, 1)),
}


def bowl(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(1).square().sum(1)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("shape", [(1,), (3, 4, 4)])
def test_states_and_infos(name: str, shape: tuple[int, ...]) -> None:
    kernel = KERNELS[name](bowl)
    start = torch.zeros(5, *shape)
    state = kernel.init(start)
    assert state.position.shape == start.shape
    after, info = kernel.step(state, torch.Generator().manual_seed(0))
    assert torch.equal(state.position, start), "a step must not change the state that it is given"
    assert after.position.shape == start.shape and info.energy.shape == (5,)
    assert after.position.dtype == start.dtype and not after.position.requires_grad


@pytest.mark.parametrize("name", KERNELS)
def test_chains_do_not_influence_each_other(name: str) -> None:
    """The first chain ends at the same place whatever its neighbour begins from."""
    kernel = KERNELS[name](bowl)
    ends = []
    for other in (0.0, 0.9):
        *_, (x, _) = walk(kernel, torch.tensor([[0.5], [other]]), 10, torch.Generator().manual_seed(0))
        ends.append(x[0])
    torch.testing.assert_close(ends[0], ends[1], rtol=0, atol=0)
