"""The parts of a training come back as they were."""

import copy

import torch
from torch import nn

from models.parts.training import checkpoint


class OnDevice:
    """The state of a generator as a checkpoint that was loaded onto a GPU has it."""

    def __init__(self, there: torch.Tensor) -> None:
        self.there = there

    def cpu(self) -> torch.Tensor:
        return self.there


def test_the_state_of_a_generator_is_taken_from_any_device() -> None:
    before, after = torch.Generator().manual_seed(1), torch.Generator().manual_seed(2)
    checkpoint.restore({"generator": after}, {"generator": OnDevice(before.get_state())})
    assert torch.equal(torch.rand(3, generator=after), torch.rand(3, generator=before))


def test_parts_come_back_as_they_were() -> None:
    network, generator = nn.Linear(2, 2), torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(network.parameters(), 0.1)
    parts: dict[str, checkpoint.Part] = {"network": network, "optimizer": optimizer, "generator": generator}

    def step() -> list[float]:
        optimizer.zero_grad()
        network(torch.rand(4, 2, generator=generator)).square().sum().backward()
        optimizer.step()
        return network.weight.flatten().tolist()

    step()
    state = copy.deepcopy(checkpoint.state(1, parts, more="told"))
    assert state.keys() == {"update", *parts, "more"} and (state["update"], state["more"]) == (1, "told")
    later = step()
    assert later != step()
    checkpoint.restore(parts, state)
    assert step() == later
