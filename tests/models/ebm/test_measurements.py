"""What a report of training measures."""

import torch

from models.ebm.config import Config
from models.ebm.measurements import Update, measure


def test_an_update_costs_its_chain_and_two_passes_more() -> None:
    """Three updates of 10 steps of the chain, one forward and one backward pass: 36; the budget pays for whole updates."""
    config = Config(n_steps=10, step_size=20.0, network_evaluations=36)
    images, energies, number = torch.zeros(2, 1, 8, 8), torch.zeros(2), torch.tensor(0.0)
    update = Update(images, images, images, images, energies, energies, number, number)
    assert measure(config, update, number, 3, 1e-3)["training/network_evaluations"] == 36
    assert config.updates == 3
