"""What every kernel promises, whatever its algorithm: new samplers join KERNELS."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from samplers import hmc, langevin, mala, preconditioned, proximal, tempering, underdamped
from samplers.kernel import Energy, Kernel, iterate, run

KERNELS: dict[str, Callable[[Energy], Kernel]] = {
    "langevin": lambda energy: langevin.build(energy, 0.05),
    "langevin, clipped and bounded": lambda energy: langevin.build(energy, 0.05, 0.01, 0.1, (-1, 1)),
    "mala": lambda energy: mala.build(energy, 0.05),
    "mala, adapting": lambda energy: mala.build(energy, 0.05, 0.5, warmup=5, grad_clip=0.1, bounds=(-1, 1)),
    "underdamped": lambda energy: underdamped.build(energy, 0.2),
    "underdamped, clipped and bounded": lambda energy: underdamped.build(energy, 0.2, 2.0, 0.5, 0.1, (-1, 1)),
    "preconditioned": lambda energy: preconditioned.build(energy, 0.05, torch.tensor([0.5])),
    "preconditioned, bounded": lambda energy: preconditioned.build(
        energy, 0.05, torch.tensor([0.5]), 1e-4, 0.1, (-1, 1)
    ),
    "hmc": lambda energy: hmc.build(energy, 0.2, 3),
    "hmc, adapting": lambda energy: hmc.build(energy, 0.2, 3, 0.5, 0.3, 5, grad_clip=0.1, bounds=(-1, 1)),
    "tempering": lambda energy: tempering.build(lambda t: mala.build(energy, 0.05, t), (1, 2, 4)),
    "tempering, of hmc": lambda energy: tempering.build(lambda t: hmc.build(energy, 0.2, 2, t, warmup=3), (0.1, 2), 2),
    "proximal": lambda energy: proximal.build(energy, 0.05, 0.1),
    "proximal, inner steps": lambda energy: proximal.build(
        lambda z: energy(z / 2), 0.05, 0.1, 0.01, 3, lambda x: 2 * x, (-1, 1)
    ),
}
BOUNDED = [name for name in KERNELS if "bounded" in name or name in ("mala, adapting", "hmc, adapting")]


def bowl(x: Tensor) -> Tensor:
    return x.flatten(1).square().sum(1)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("shape", [(1,), (3, 4, 4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_states_and_infos(name: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    kernel = KERNELS[name](bowl)
    start = torch.rand(5, *shape, dtype=dtype, generator=generator())
    state = kernel.init(start)
    assert torch.equal(state.position, start)
    after, info = kernel.step(state, generator())
    assert after.position.shape == start.shape and info.energy.shape == (5,)
    assert after.position.dtype == start.dtype and info.energy.dtype == start.dtype
    assert not after.position.requires_grad and not info.energy.requires_grad
    assert info.gradient.shape == start.shape and (info.gradient * start >= 0).all()
    torch.testing.assert_close(info.energy, bowl(start), msg="the energy of the position that the step left")


@pytest.mark.parametrize("name", KERNELS)
def test_a_state_takes_no_part_in_what_its_start_was_computed_from(name: str) -> None:
    """Else the memory of a chain grows by the network that made its start."""
    state = KERNELS[name](bowl).init(torch.rand(5, 2, generator=generator()).requires_grad_())
    assert not any(tensor.requires_grad for tensor in tensors(state))


@pytest.mark.parametrize("name", KERNELS)
def test_a_step_changes_nothing_that_it_is_given(name: str) -> None:
    kernel = KERNELS[name](bowl)
    state = kernel.init(torch.rand(6, 2, generator=generator()))
    for _ in range(7):
        before = tensors(state, copy=True)
        after, _ = kernel.step(state, generator(1))
        assert all(torch.equal(one, other) for one, other in zip(before, tensors(state), strict=True))
        state = after


def tensors(state: object, copy: bool = False) -> list[Tensor]:
    if isinstance(state, Tensor):
        return [state.clone() if copy else state]
    return [found for part in state for found in tensors(part, copy)] if isinstance(state, tuple) else []


@pytest.mark.parametrize("name", KERNELS)
def test_the_generator_is_all_the_chance_there_is(name: str) -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    start = torch.full((4, 3), 0.5)
    one, other, third = (run(KERNELS[name](bowl), start, 8, generator(seed))[0] for seed in (3, 3, 4))
    assert torch.equal(one, other)
    assert name == "proximal" or not torch.equal(one, third)  # without noise there is no chance in it
    assert torch.rand(1) == expected, "global randomness is left alone"


@pytest.mark.parametrize("name", KERNELS)
def test_chains_do_not_influence_each_other(name: str) -> None:
    """The first chain ends at the same place whatever its neighbour begins from."""
    kernel = KERNELS[name](bowl)
    ends = []
    for other in (0.0, 0.9):
        *_, (x, _) = iterate(kernel, torch.tensor([[0.5], [other]]), 10, generator())
        ends.append(x[0])
    torch.testing.assert_close(ends[0], ends[1], rtol=0, atol=0)


@pytest.mark.parametrize("name", KERNELS)
def test_parameters_get_no_gradient(name: str) -> None:
    """Sampling computes the gradient in x alone, whoever calls it and in whatever mode."""
    network = nn.Sequential(nn.Linear(3, 5), nn.SiLU(), nn.Linear(5, 1))
    with torch.no_grad():
        x, info = run(KERNELS[name](lambda x: network(x).squeeze(1)), torch.rand(4, 3), 3, generator())
    assert not x.requires_grad and not info.energy.requires_grad
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("name", KERNELS)
def test_a_step_costs_the_evaluations_that_the_kernel_says(name: str) -> None:
    """Counted in rows: a replica more costs as much as a chain more."""
    rows = 0

    def counting(x: Tensor) -> Tensor:
        nonlocal rows
        rows += len(x)
        return bowl(x)

    kernel = KERNELS[name](counting)
    state = kernel.init(torch.rand(5, 2))
    for _ in range(4):
        rows = 0
        state, _ = kernel.step(state, generator())
        assert rows == 5 * kernel.evaluations


@pytest.mark.parametrize("name", BOUNDED)
def test_positions_stay_within_their_bounds(name: str) -> None:
    """Though the energy drives them outwards."""
    start = torch.rand(50, 4, generator=generator())
    for x, _ in iterate(KERNELS[name](lambda x: -20 * x.sum(1)), start, 10, generator()):
        assert x.min() >= -1 and x.max() <= 1
