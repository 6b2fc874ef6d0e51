"""The parts of a training come back as they were."""

import copy

import torch
from torch import nn

from models.parts.training import checkpoint


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
